/**
 * Chats as values: messages, and the templates that turn them into the text a model was trained on.
 *
 * <p>A template comes from {@code LlamaModel.chatTemplate()}. Tools and structured answers have
 * their place in {@link dev.gatun.chat.ChatRequest} and {@link dev.gatun.chat.ChatPrompt}.
 */
@NullMarked
package dev.gatun.chat;

import org.jspecify.annotations.NullMarked;

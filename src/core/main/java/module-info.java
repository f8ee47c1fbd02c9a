/** The heart of Gatun: models, contexts, sessions, tokenizers, samplers and the GGUF reader. */
module dev.gatun.core {
  requires dev.gatun.bindings;
  requires static org.jspecify;

  exports dev.gatun;
  exports dev.gatun.chat;
  exports dev.gatun.error;
  exports dev.gatun.eval;
  exports dev.gatun.gguf;
  exports dev.gatun.kv;
  exports dev.gatun.offload;
  exports dev.gatun.rope;
  exports dev.gatun.sampling;
}

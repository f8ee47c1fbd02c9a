// The logger: called by llama.cpp and ggml on any thread, read by whoever drains the queue. It never calls out.
#include "shim.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <mutex>

namespace gatun {
namespace {

constexpr size_t queue_capacity = 4096;

struct line {
    int level;
    std::string text;
};

struct log_state {
    std::mutex mutex;
    std::deque<line> queue; // guarded by mutex
    int64_t dropped = 0;    // guarded by mutex
    std::atomic<int32_t> pending{0};
    std::atomic<int32_t> min_level{GGML_LOG_LEVEL_INFO};
};

// Never destroyed: a compute thread may still log while the process ends.
log_state & state() {
    static auto * const instance = new log_state;
    return *instance;
}

thread_local log_scope * innermost = nullptr;

// Hands a complete line on: to the call that is running on this thread, and to the queue.
void publish(int level, std::string text, bool to_scope) {
    if (to_scope && level >= GGML_LOG_LEVEL_WARN && innermost != nullptr && !text.empty()) {
        innermost->add(level, text);
    }
    log_state & log = state();
    if (level < log.min_level.load(std::memory_order_relaxed)) {
        return;
    }
    const std::lock_guard<std::mutex> lock(log.mutex);
    if (log.queue.size() >= queue_capacity) {
        log.queue.pop_front();
        log.dropped++;
    }
    log.queue.push_back({level, std::move(text)});
    log.pending.store(static_cast<int32_t>(log.queue.size()), std::memory_order_relaxed);
}

// The line that a thread has begun and not ended yet. What is left is published when the thread ends.
struct partial_line {
    int level = GGML_LOG_LEVEL_INFO;
    std::string text;

    ~partial_line() {
        try {
            flush();
        } catch (...) { // the thread is ending; the line is lost
        }
    }

    void flush() {
        if (!text.empty()) {
            publish(level, std::exchange(text, {}), true);
        }
    }
};

thread_local partial_line partial;

void receive(enum ggml_log_level level, const char * text) {
    if (level == GGML_LOG_LEVEL_CONT) {
        // continues the last piece of this thread, at that piece's level
    } else {
        partial.flush();
        partial.level = level == GGML_LOG_LEVEL_NONE ? GGML_LOG_LEVEL_INFO : level;
    }
    // Some messages carry a whole source text after an empty line; it stays out of the caller's message.
    bool to_scope = true;
    for (const char * rest = text; *rest != '\0';) {
        const char * end = std::strchr(rest, '\n');
        if (end == nullptr) {
            partial.text.append(rest);
            break;
        }
        partial.text.append(rest, static_cast<size_t>(end - rest));
        if (!partial.text.empty() && partial.text.back() == '\r') {
            partial.text.pop_back();
        }
        if (partial.text.empty()) {
            to_scope = false;
        } else {
            publish(partial.level, std::exchange(partial.text, {}), to_scope);
        }
        rest = end + 1;
    }
}

void on_log(enum ggml_log_level level, const char * text, void *) {
    if (text == nullptr) {
        return;
    }
    try {
        receive(level, text);
    } catch (...) { // out of memory: the line is lost, the caller (C code) must not see an exception
    }
}

} // namespace

log_scope::log_scope() noexcept : outer(innermost) {
    innermost = this;
}

log_scope::~log_scope() {
    innermost = outer;
}

void log_scope::add(int level, std::string line) {
    constexpr size_t most_lines = 16;
    auto & lines = level >= GGML_LOG_LEVEL_ERROR ? errors : warnings;
    if (lines.size() < most_lines) {
        lines.push_back(std::move(line));
    }
}

std::string log_scope::text() const {
    std::string joined;
    for (const auto & line : errors.empty() ? warnings : errors) {
        joined.append(joined.empty() ? "" : "; ").append(line);
    }
    return joined;
}

log_scope * log_scope::current() noexcept {
    return innermost;
}

size_t copy_text(const char * text, size_t length, char * buffer, size_t capacity) noexcept {
    if (buffer == nullptr || capacity == 0) {
        return 0;
    }
    size_t count = std::min(length, capacity - 1);
    if (count < length) {
        // Step back over the continuation bytes of a character that would be cut.
        while (count > 0 && (static_cast<unsigned char>(text[count]) & 0xC0) == 0x80) {
            count--;
        }
    }
    std::memcpy(buffer, text, count);
    buffer[count] = '\0';
    return count;
}

char * duplicate(const std::string & text) {
    auto * copy = static_cast<char *>(std::malloc(text.size() + 1));
    if (copy == nullptr) {
        throw std::bad_alloc();
    }
    std::memcpy(copy, text.c_str(), text.size() + 1);
    return copy;
}

void write_message(const char * what, const log_scope & scope, char * err, size_t err_cap) noexcept {
    try {
        std::string message = what;
        const std::string lines = scope.text();
        if (!lines.empty() && lines.find(message) != std::string::npos) {
            message = lines; // the log says it already
        } else if (!lines.empty()) {
            message.append(": ").append(lines);
        }
        copy_text(message.data(), message.size(), err, err_cap);
    } catch (...) {
        copy_text(what, std::strlen(what), err, err_cap);
    }
}

} // namespace gatun

void gatun_log_install(int32_t min_level) {
    gatun::state().min_level.store(min_level, std::memory_order_relaxed);
    llama_log_set(gatun::on_log, nullptr); // sets ggml's too
}

int32_t gatun_log_pending(void) {
    return gatun::state().pending.load(std::memory_order_relaxed);
}

int32_t gatun_log_next(int32_t * level, char * buf, size_t cap) {
    if (level == nullptr || buf == nullptr || cap == 0) {
        return -1;
    }
    auto & log = gatun::state();
    const std::lock_guard<std::mutex> lock(log.mutex);
    if (log.queue.empty()) {
        return -1;
    }
    const auto & oldest = log.queue.front();
    *level = oldest.level;
    const size_t count = gatun::copy_text(oldest.text.data(), oldest.text.size(), buf, cap);
    log.queue.pop_front();
    log.pending.store(static_cast<int32_t>(log.queue.size()), std::memory_order_relaxed);
    return static_cast<int32_t>(count);
}

int64_t gatun_log_dropped(void) {
    auto & log = gatun::state();
    const std::lock_guard<std::mutex> lock(log.mutex);
    return std::exchange(log.dropped, 0);
}

void gatun_log_emit(int32_t level, const char * text) {
    ggml_log_callback callback = nullptr;
    void * user_data = nullptr;
    llama_log_get(&callback, &user_data);
    if (callback != nullptr && text != nullptr) {
        callback(static_cast<ggml_log_level>(level), text, user_data);
    }
}

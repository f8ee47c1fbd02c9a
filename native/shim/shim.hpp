// What the shim's own files share: the catch-all wrapper and the message it writes.
#pragma once

#include "gatun_shim.h"

#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace gatun {

// Collects the warnings and errors that are logged on this thread while it lives. Scopes nest; the innermost collects.
class log_scope {
  public:
    log_scope() noexcept;
    ~log_scope();
    log_scope(const log_scope &) = delete;
    log_scope & operator=(const log_scope &) = delete;

    void add(int level, std::string line);
    // The error lines, or the warnings where there is no error line, joined with "; ".
    std::string text() const;

    static log_scope * current() noexcept;

  private:
    log_scope * outer;
    std::vector<std::string> errors;
    std::vector<std::string> warnings;
};

// Copies text into a caller's buffer, NUL-terminated, cut on a UTF-8 character border. Returns the bytes copied.
size_t copy_text(const char * text, size_t length, char * buffer, size_t capacity) noexcept;

// Returns a malloc'ed copy. Throws std::bad_alloc.
char * duplicate(const std::string & text);

// Thrown inside a guarded body to end it with a status of ours.
struct refusal {
    int32_t status;
    std::string text;
};

[[noreturn]] inline void refuse(std::string text) {
    throw refusal{GATUN_INVALID_ARGUMENT, std::move(text)};
}

[[noreturn]] inline void fail(std::string text) {
    throw refusal{GATUN_FAILED, std::move(text)};
}

inline void require(bool condition, const char * text) {
    if (!condition) {
        refuse(text);
    }
}

// Writes "what: log lines" into the caller's buffer. Never throws.
void write_message(const char * what, const log_scope & scope, char * err, size_t err_cap) noexcept;

// Runs the body, which returns a status, and turns whatever it throws into a status and a message.
template <class Body>
int32_t guarded(const char * call, char * err, size_t err_cap, Body && body) noexcept {
    if (err != nullptr && err_cap > 0) {
        err[0] = '\0';
    }
    const log_scope scope;
    try {
        const int32_t status = body();
        if (status != GATUN_OK) {
            const std::string text = std::string(call) + " returned " + std::to_string(status);
            write_message(text.c_str(), scope, err, err_cap);
        }
        return status;
    } catch (const refusal & refused) {
        write_message(refused.text.c_str(), scope, err, err_cap);
        return refused.status;
    } catch (const std::bad_alloc &) {
        write_message("out of memory", scope, err, err_cap);
        return GATUN_OUT_OF_MEMORY;
    } catch (const std::exception & thrown) {
        write_message(thrown.what(), scope, err, err_cap);
        return GATUN_EXCEPTION;
    } catch (...) {
        write_message("an unknown C++ exception", scope, err, err_cap);
        return GATUN_EXCEPTION;
    }
}

// Finishes what llama.cpp leaves to the next decode: copies between streams, turns of moved keys. Not even a cancelled
// call or a deadline stops it halfway: positions and keys would no longer belong together.
void update_memory(llama_context * ctx);

} // namespace gatun

/* Compiled into a few llama.cpp sources (-include): they report errors with fprintf(stderr, ...), which a library
 * inside a JVM must not do and which hides the reason from the caller. The text goes to the logger instead. */
#ifndef GATUN_STDERR_TO_LOG_H
#define GATUN_STDERR_TO_LOG_H

#include "ggml.h"

#ifdef __cplusplus
#    include <cstdio> // undefines the macro of that name, so it comes first
#else
#    include <stdio.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif
GGML_API void ggml_log_internal(enum ggml_log_level level, const char * format, ...);
#ifdef __cplusplus
}
#endif

#define fprintf(stream, ...) ggml_log_internal(GATUN_STDERR_LEVEL, __VA_ARGS__)

#endif

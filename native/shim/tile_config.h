/* Compiled into ggml's AMX kernel (-include). GCC's _tile_loadconfig says that it reads 8 of the 64 bytes of a tile
 * configuration. With optimization the kernel's configuration is then never written, its tiles have no rows, and the
 * first product with quantised weights ends the process with an illegal instruction. Here it reads all of them. */
#ifndef GATUN_TILE_CONFIG_H
#define GATUN_TILE_CONFIG_H

#if defined(__AMX_TILE__)
#    include <immintrin.h>

static inline void gatun_tile_loadconfig(const void * config) {
    __asm__ volatile("ldtilecfg\t%0" : : "m"(*(const char(*)[64]) config));
}

#    define _tile_loadconfig gatun_tile_loadconfig
#endif

#endif

// The few names of <stddef.h> that the headers use, with fixed 64-bit meanings on every host.
#pragma once
typedef unsigned long long size_t;
typedef long long ptrdiff_t;
#define NULL ((void *) 0)

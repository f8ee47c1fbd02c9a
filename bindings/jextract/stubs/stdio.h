// FILE is only ever a pointer here; nothing of stdio is called from Java.
#pragma once
struct gatun_stdio_file;
typedef struct gatun_stdio_file FILE;

// <stdbool.h> without its macros, which would become constants in the bindings.
#pragma once
#define bool _Bool

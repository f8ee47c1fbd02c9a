# Adds llama.cpp as a subproject: libraries and back-end modules only, each loadable on its own.

set(BUILD_SHARED_LIBS ON)
set(GGML_BACKEND_DL ON)
set(GGML_NATIVE OFF)
set(GGML_CPU_ALL_VARIANTS ON)
set(GGML_RPC ON)
set(GGML_RPC_RDMA OFF CACHE BOOL "" FORCE) # would make libibverbs a run-time need
set(GGML_OPENMP OFF)                       # would make libgomp a run-time need
set(GGML_BLAS OFF)
set(GGML_CCACHE OFF)                       # it prints a warning when ccache is missing; use CMAKE_*_COMPILER_LAUNCHER
set(LLAMA_BUILD_COMMON ${GATUN_PEERS})
foreach(part IN ITEMS TESTS TOOLS EXAMPLES SERVER APP MTMD)
  set(LLAMA_BUILD_${part} OFF)
endforeach()
set(LLAMA_OPENSSL OFF)
set(LLAMA_TOOLS_INSTALL OFF)
set(LLAMA_ALL_WARNINGS OFF)

# ggml makes the target `ggml`, and so everything that links it, depend on every back-end module. Without this, building
# libllama would compile all 14 x86 variants of the CPU module. Modules are loaded at run time, so nothing needs the
# edge; Stage.cmake asks for the chosen ones by name.
function(add_dependencies target)
  if(target STREQUAL "ggml")
    list(FILTER ARGN EXCLUDE REGEX "^ggml-")
  endif()
  if(ARGN)
    _add_dependencies(${target} ${ARGN})
  endif()
endfunction()

add_subdirectory("${GATUN_LLAMA_SOURCE}" "${CMAKE_BINARY_DIR}/llama.cpp" EXCLUDE_FROM_ALL)

include(LogStderr)
gatun_log_stderr(llama ERROR "${GATUN_LLAMA_SOURCE}/src/llama-grammar.cpp" "${GATUN_LLAMA_SOURCE}/src/unicode.cpp")

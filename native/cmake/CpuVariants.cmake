# Chooses which CPU modules to build. Sets GATUN_CPU_TARGETS (CMake targets) and GATUN_CPU_NAMES (e.g. x64;zen4).
#
# The list of variants and the features each needs is read from the pinned tree, so that it cannot go stale here.

set(gatun_ggml_src "${GATUN_LLAMA_SOURCE}/ggml/src")
file(STRINGS "${gatun_ggml_src}/CMakeLists.txt" gatun_variant_lines
     REGEX "^ *ggml_add_cpu_backend_variant\\([a-z0-9_.]+[^$]*\\)")

set(gatun_known "")
foreach(line IN LISTS gatun_variant_lines)
  string(REGEX REPLACE "^ *ggml_add_cpu_backend_variant\\(([^)]*)\\).*" "\\1" line "${line}")
  string(REGEX REPLACE " +" ";" line "${line}")
  list(POP_FRONT line name)
  # Only those of the target architecture that this compiler can build have become a target.
  if(TARGET ggml-cpu-${name})
    list(APPEND gatun_known ${name})
    set(gatun_needs_${name} ${line})
  endif()
endforeach()
if(gatun_known STREQUAL "")
  message(FATAL_ERROR "No CPU variants found in ${gatun_ggml_src}/CMakeLists.txt; does native/cmake/CpuVariants.cmake still fit the pin?")
endif()

list(GET gatun_known 0 gatun_baseline)
set(gatun_cpu_unusable "")

if(GATUN_CPU_VARIANTS STREQUAL "all")
  set(GATUN_CPU_NAMES ${gatun_known})
elseif(GATUN_CPU_VARIANTS STREQUAL "local")
  if(CMAKE_CROSSCOMPILING)
    message(FATAL_ERROR "GATUN_CPU_VARIANTS=local asks what this machine can run, but the build is for ${GATUN_PLATFORM}; use 'all' or a list of: ${gatun_known}")
  endif()
  # ggml's own feature detection, so that the answer is the one its loader will find.
  try_run(gatun_probe_ran gatun_probe_built "${CMAKE_BINARY_DIR}/cpu-probe" "${GATUN_NATIVE_DIR}/cmake/CpuProbe.cpp"
          CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${gatun_ggml_src};${gatun_ggml_src}/ggml-cpu;${GATUN_LLAMA_SOURCE}/ggml/include"
          CXX_STANDARD 17
          COMPILE_OUTPUT_VARIABLE gatun_probe_said RUN_OUTPUT_VARIABLE gatun_features)
  if(NOT gatun_probe_built OR NOT gatun_probe_ran EQUAL 0)
    message(WARNING "The CPU feature probe did not run; only the slow baseline module is built.\n${gatun_probe_said}")
    set(gatun_features "")
  endif()
  string(STRIP "${gatun_features}" gatun_features)
  string(REPLACE " " ";" gatun_features "${gatun_features}")
  set(gatun_usable "")
  foreach(name IN LISTS gatun_known)
    set(missing ${gatun_needs_${name}})
    if(missing AND gatun_features)
      list(REMOVE_ITEM missing ${gatun_features})
    endif()
    if(missing)
      list(JOIN missing "+" missing)
      list(APPEND gatun_cpu_unusable "${name} (no ${missing})")
    else()
      list(APPEND gatun_usable ${name})
    endif()
  endforeach()
  # Of those that this machine can run, its loader would only ever take the one with the most features: build that, a
  # middle one to compare with and to fall back to, and the baseline. Each costs about a minute of compiling.
  set(best ${gatun_baseline})
  set(most -1)
  foreach(name IN LISTS gatun_usable)
    list(LENGTH gatun_needs_${name} count)
    if(NOT count LESS most)
      set(best ${name})
      set(most ${count})
    endif()
  endforeach()
  set(GATUN_CPU_NAMES ${gatun_baseline} ${best})
  list(FILTER gatun_usable INCLUDE REGEX "^(haswell|armv8\\.2_2)$")
  list(APPEND GATUN_CPU_NAMES ${gatun_usable})
  list(REMOVE_DUPLICATES GATUN_CPU_NAMES)
else()
  set(GATUN_CPU_NAMES ${GATUN_CPU_VARIANTS})
  foreach(name IN LISTS GATUN_CPU_NAMES)
    if(NOT name IN_LIST gatun_known)
      message(FATAL_ERROR "GATUN_CPU_VARIANTS names '${name}'; for ${GATUN_PLATFORM} there are: ${gatun_known}")
    endif()
  endforeach()
endif()

set(GATUN_CPU_TARGETS ${GATUN_CPU_NAMES})
list(TRANSFORM GATUN_CPU_TARGETS PREPEND ggml-cpu-)

# Stands in for Llama.cmake when the libraries exist already (GATUN_PREBUILT): only the tests, and with sanitizers the
# shim, are compiled. So the tests run on the very files that ship, and a clean checkout with a warm cache never
# compiles llama.cpp for them.

function(gatun_import target)
  # Not cached: the folder changes when the shim does.
  unset(GATUN_LIBRARY_${target} CACHE)
  find_library(GATUN_LIBRARY_${target} NAMES ${target} PATHS ${ARGN} NO_DEFAULT_PATH NO_CACHE REQUIRED)
  add_library(${target} SHARED IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES
    IMPORTED_LOCATION "${GATUN_LIBRARY_${target}}"
    IMPORTED_IMPLIB "${GATUN_LIBRARY_${target}}")
endfunction()

foreach(target IN ITEMS ggml-base ggml llama)
  gatun_import(${target} "${GATUN_PREBUILT}")
endforeach()
target_include_directories(ggml-base INTERFACE "${GATUN_LLAMA_SOURCE}/ggml/include")
target_include_directories(llama INTERFACE "${GATUN_LLAMA_SOURCE}/include")
target_compile_definitions(ggml-base INTERFACE GGML_SHARED GGML_BACKEND_DL)
target_compile_definitions(llama INTERFACE LLAMA_SHARED)
target_link_libraries(ggml INTERFACE ggml-base)
target_link_libraries(llama INTERFACE ggml)

if(GATUN_SANITIZE AND NOT GATUN_PREBUILT_SHIM)
  add_library(vendor::nlohmann INTERFACE IMPORTED GLOBAL)
  target_include_directories(vendor::nlohmann SYSTEM INTERFACE "${GATUN_LLAMA_SOURCE}/vendor")
  include(LogStderr)
  add_subdirectory(native/shim)
  set(CMAKE_STRIP "")
  set(gatun_core_targets gatun_shim)
  include(Stage)
else()
  set(shim "${GATUN_PREBUILT}")
  if(GATUN_PREBUILT_SHIM)
    set(shim "${GATUN_PREBUILT_SHIM}")
  endif()
  gatun_import(gatun_shim "${shim}")
  target_include_directories(gatun_shim INTERFACE "${GATUN_NATIVE_DIR}/shim")
  target_link_libraries(gatun_shim INTERFACE llama)
  if(GATUN_SANITIZE)
    target_link_options(gatun_shim INTERFACE -fsanitize=${GATUN_SANITIZE})
  endif()
endif()

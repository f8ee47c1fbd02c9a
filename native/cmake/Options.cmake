# The options a user may set. native/build.cmake passes them on and keys its cache with them.

set(GATUN_LLAMA_CPP_DIR "$ENV{GATUN_LLAMA_CPP_DIR}" CACHE PATH "A folder with the pinned llama.cpp source; empty: fetch it")
option(GATUN_LLAMA_CPP_UNVERIFIED "Accept a llama.cpp folder whose git tree id differs from the pin" OFF)

foreach(gpu IN ITEMS VULKAN CUDA METAL)
  set(GATUN_${gpu} auto CACHE STRING "Build the ${gpu} back end: auto, on or off")
  set_property(CACHE GATUN_${gpu} PROPERTY STRINGS auto on off)
  string(TOLOWER "${GATUN_${gpu}}" GATUN_${gpu})
  if(NOT GATUN_${gpu} MATCHES "^(auto|on|off)$")
    message(FATAL_ERROR "GATUN_${gpu} is '${GATUN_${gpu}}'; it must be auto, on or off")
  endif()
endforeach()

set(GATUN_CPU_VARIANTS local CACHE STRING
    "CPU modules: 'local' (for this machine), 'all' (of the target architecture), or a list such as x64;haswell")
option(GATUN_PEERS "Also build llama.cpp's own tools, to compare with" OFF)
option(GATUN_TESTS "Also build the native tests" OFF)
set(GATUN_PREBUILT "" CACHE PATH "A folder of libraries built before: compile only the tests")
set(GATUN_PREBUILT_SHIM "" CACHE PATH "A folder with another build of the shim, for the tests")
set(GATUN_SANITIZE "" CACHE STRING "Sanitizers for the shim and its tests, e.g. address,undefined")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

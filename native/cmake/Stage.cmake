# The target gatun-natives: everything that ships, stripped, in one flat folder (<build>/natives) with its indexes.

# In the order in which they must be loaded; back-end modules last.
if(NOT gatun_core_targets)
  set(gatun_core_targets ggml-base ggml llama gatun_shim ${GATUN_CPU_TARGETS} ggml-rpc)
endif()
set(gatun_manifest "")
foreach(target IN LISTS gatun_core_targets)
  string(APPEND gatun_manifest "core $<TARGET_FILE:${target}>\n")
endforeach()
set(gatun_gpu_targets "")
foreach(component IN LISTS GATUN_GPU_COMPONENTS)
  string(APPEND gatun_manifest "${component} $<TARGET_FILE:ggml-${component}>\n")
  list(APPEND gatun_gpu_targets ggml-${component})
endforeach()
file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/natives.manifest" CONTENT "${gatun_manifest}")

add_custom_target(gatun-natives
  COMMAND "${CMAKE_COMMAND}"
          "-DMANIFEST=${CMAKE_BINARY_DIR}/natives.manifest" "-DOUT=${CMAKE_BINARY_DIR}/natives"
          "-DSTRIP=${CMAKE_STRIP}" "-DAPPLE=${APPLE}" "-DHEADER=${GATUN_PIN_TAG} ${GATUN_PIN_TREE} ${GATUN_PLATFORM}"
          -P "${GATUN_NATIVE_DIR}/cmake/stage-files.cmake"
  DEPENDS ${gatun_core_targets} ${gatun_gpu_targets}
  COMMENT "Putting the libraries into ${CMAKE_BINARY_DIR}/natives"
  VERBATIM)

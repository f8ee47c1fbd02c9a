# The target gatun-peers: llama.cpp's own tools, of the same tree and on the same libraries, to compare with. One folder
# (<build>/peers) that runs from anywhere.

set(gatun_peer_tools llama-completion llama-bench llama-perplexity llama-quantize)
foreach(tool IN ITEMS completion llama-bench perplexity quantize)
  add_subdirectory("${GATUN_LLAMA_SOURCE}/tools/${tool}" "${CMAKE_BINARY_DIR}/llama.cpp/tools/${tool}" EXCLUDE_FROM_ALL)
endforeach()

set(gatun_peer_targets
  ggml-base ggml llama llama-common llama-completion-impl llama-bench-impl llama-perplexity-impl llama-quantize-impl
  ${gatun_peer_tools} ${GATUN_CPU_TARGETS} ggml-rpc)
set(gatun_peer_manifest "")
foreach(target IN LISTS gatun_peer_targets)
  string(APPEND gatun_peer_manifest "peers $<TARGET_FILE:${target}>\n")
endforeach()
file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/peers.manifest" CONTENT "${gatun_peer_manifest}")

add_custom_target(gatun-peers
  COMMAND "${CMAKE_COMMAND}"
          "-DMANIFEST=${CMAKE_BINARY_DIR}/peers.manifest" "-DOUT=${CMAKE_BINARY_DIR}/peers"
          "-DSTRIP=${CMAKE_STRIP}" "-DAPPLE=${APPLE}" "-DHEADER=${GATUN_PIN_TAG} ${GATUN_PIN_TREE} ${GATUN_PLATFORM}"
          -P "${GATUN_NATIVE_DIR}/cmake/stage-files.cmake"
  DEPENDS ${gatun_peer_targets}
  COMMENT "Putting llama.cpp's tools into ${CMAKE_BINARY_DIR}/peers"
  VERBATIM)

# Makes llama.cpp sources that report with fprintf(stderr, ...) report to the logger, at the given level.
function(gatun_log_stderr target level)
  set(header "${GATUN_NATIVE_DIR}/shim/stderr_to_log.h")
  if(MSVC)
    set(options "/FI${header}")
  else()
    set(options -include "${header}")
  endif()
  set_property(SOURCE ${ARGN} TARGET_DIRECTORY ${target} APPEND PROPERTY COMPILE_OPTIONS "${options}")
  set_property(SOURCE ${ARGN} TARGET_DIRECTORY ${target} APPEND PROPERTY COMPILE_DEFINITIONS
               "GATUN_STDERR_LEVEL=GGML_LOG_LEVEL_${level}")
endfunction()

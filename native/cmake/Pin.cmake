# Reads native/llama.cpp.pin and finds the user's cache folder.
#
# Sets GATUN_PIN_TAG, GATUN_PIN_TREE, GATUN_PIN_REPOSITORY, GATUN_PIN_NPM, GATUN_PIN_NPM_BUNDLE and
# GATUN_CACHE_DIR (an absolute folder, not made yet).

get_filename_component(GATUN_NATIVE_DIR "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)

file(STRINGS "${GATUN_NATIVE_DIR}/llama.cpp.pin" gatun_pin_lines REGEX "^[a-z_]+=")
foreach(line IN LISTS gatun_pin_lines)
  string(REGEX MATCH "^([a-z_]+)=(.*)$" _ "${line}")
  string(TOUPPER "${CMAKE_MATCH_1}" key)
  set(GATUN_PIN_${key} "${CMAKE_MATCH_2}")
endforeach()

if(NOT GATUN_CACHE_DIR)
  if(NOT "$ENV{GATUN_CACHE_DIR}" STREQUAL "")
    set(GATUN_CACHE_DIR "$ENV{GATUN_CACHE_DIR}")
  elseif(CMAKE_HOST_WIN32)
    set(GATUN_CACHE_DIR "$ENV{LOCALAPPDATA}/gatun")
  elseif(CMAKE_HOST_APPLE)
    set(GATUN_CACHE_DIR "$ENV{HOME}/Library/Caches/gatun")
  elseif(NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
    set(GATUN_CACHE_DIR "$ENV{XDG_CACHE_HOME}/gatun")
  else()
    set(GATUN_CACHE_DIR "$ENV{HOME}/.cache/gatun")
  endif()
endif()
file(TO_CMAKE_PATH "${GATUN_CACHE_DIR}" GATUN_CACHE_DIR)

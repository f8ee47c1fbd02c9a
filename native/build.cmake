# Gets the native libraries: from the user's cache when they were built before, else by building them.
#
#   cmake [-D<option>=<value> ...] -P native/build.cmake
#
# Leaves behind, under native/target:
#   natives/         the libraries in one flat folder, with an index for each component
#   peers/           llama.cpp's own tools (with GATUN_PEERS=ON)
#   llama.cpp.path   a text file: the folder of the llama.cpp source
#   test-results.txt what ctest said (with GATUN_TESTS=ON)
#
# Options (see native/cmake/Options.cmake): GATUN_VULKAN, GATUN_CUDA, GATUN_METAL, GATUN_CPU_VARIANTS, GATUN_PEERS,
# GATUN_TESTS, GATUN_SANITIZE, GATUN_LLAMA_CPP_DIR, GATUN_LLAMA_CPP_UNVERIFIED, and here only:
#   GATUN_PRESET     a preset of CMakePresets.json to cross-compile with; its result goes to native/target/<preset>
#   GATUN_JOBS       compile jobs at a time; default: one for each core
#   GATUN_CACHE_DIR  the cache folder; default: gatun in the user's cache folder
#
# The cache is keyed by everything that can change the result. Entries are renamed into place whole, under a lock, so
# that two builds at once are safe and the second one waits for the first and takes its result.
cmake_minimum_required(VERSION 3.21)

list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}/cmake")
include(Pin)
include(FetchLlama)
include(CacheKey)

get_filename_component(root "${CMAKE_CURRENT_LIST_DIR}/.." ABSOLUTE)
set(target "${CMAKE_CURRENT_LIST_DIR}/target")
if(GATUN_PRESET)
  string(APPEND target "/${GATUN_PRESET}")
endif()
set(build "${target}/build")

# ---- helpers ---------------------------------------------------------------------------------------------------------

function(say text)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E echo "[native] ${text}")
endfunction()

# Runs a command with its output visible; stops when it fails.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code)
  if(NOT code STREQUAL "0")
    message(FATAL_ERROR "${what} failed (${code}); the reason stands above.")
  endif()
endfunction()

# Configures the top-level project; prints only our own summary unless it fails.
function(configure folder)
  set(arguments -S "${root}" -B "${folder}" -Wno-dev)
  if(GATUN_PRESET)
    list(APPEND arguments --preset "${GATUN_PRESET}")
  else()
    find_program(ninja NAMES ninja ninja-build)
    if(ninja)
      list(APPEND arguments -G Ninja "-DCMAKE_MAKE_PROGRAM=${ninja}")
    endif()
    list(APPEND arguments -DCMAKE_BUILD_TYPE=Release)
  endif()
  execute_process(COMMAND "${CMAKE_COMMAND}" ${arguments} ${ARGN}
                  RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  file(WRITE "${folder}/configure.log" "${out}")
  if(NOT code STREQUAL "0")
    message(NOTICE "${out}")
    message(FATAL_ERROR "CMake could not configure the native build (${code}); the reason stands above.")
  endif()
  # Not as a CMake list: the lines hold semicolons.
  while(out MATCHES "-- gatun: ([^\n]*)\n")
    set(line "${CMAKE_MATCH_1}")
    say("${line}")
    string(FIND "${out}" "-- gatun: ${line}" at)
    string(LENGTH "-- gatun: ${line}" length)
    math(EXPR at "${at} + ${length}")
    string(SUBSTRING "${out}" ${at} -1 out)
  endwhile()
endfunction()

function(build_targets folder)
  if(GATUN_JOBS)
    set(jobs "${GATUN_JOBS}")
  else()
    include(ProcessorCount)
    ProcessorCount(jobs)
    if(jobs EQUAL 0)
      set(jobs 2)
    endif()
  endif()
  run("The native build" "${CMAKE_COMMAND}" --build "${folder}" --config Release --parallel ${jobs} --target ${ARGN})
endfunction()

# Moves a finished folder into the cache. Someone else's may be there already; it is the same.
function(publish folder entry)
  get_filename_component(parent "${entry}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  string(RANDOM LENGTH 12 suffix)
  set(scratch "${parent}/.tmp-${suffix}")
  file(COPY "${folder}/" DESTINATION "${scratch}")
  file(RENAME "${scratch}" "${entry}" RESULT renamed)
  if(NOT renamed STREQUAL "0")
    file(REMOVE_RECURSE "${scratch}")
  endif()
endfunction()

# Makes `folder` a copy of a cache entry, unless it is one already.
function(deliver entry key folder)
  set(stamp "${folder}.key")
  if(EXISTS "${stamp}" AND IS_DIRECTORY "${folder}")
    file(READ "${stamp}" delivered)
    if(delivered STREQUAL key)
      return()
    endif()
  endif()
  file(REMOVE "${stamp}")
  file(REMOVE_RECURSE "${folder}" "${folder}.new")
  file(COPY "${entry}/" DESTINATION "${folder}.new")
  file(RENAME "${folder}.new" "${folder}")
  file(WRITE "${stamp}" "${key}")
endfunction()

# Sets <out> to TRUE when a cache entry is there and is what its indexes say.
function(check_entry entry out)
  set(${out} FALSE PARENT_SCOPE)
  file(GLOB indexes "${entry}/*.index")
  if(indexes STREQUAL "")
    return()
  endif()
  foreach(index IN LISTS indexes)
    file(STRINGS "${index}" lines REGEX "^[0-9a-f]+ [0-9]+ ")
    foreach(line IN LISTS lines)
      string(REGEX MATCH "^([0-9a-f]+) [0-9]+ (.+)$" _ "${line}")
      set(sha256 "${CMAKE_MATCH_1}")
      set(name "${CMAKE_MATCH_2}")
      set(actual "")
      if(EXISTS "${entry}/${name}")
        file(SHA256 "${entry}/${name}" actual)
      endif()
      if(NOT actual STREQUAL sha256)
        say("the cached ${name} is damaged; building again")
        file(REMOVE_RECURSE "${entry}")
        return()
      endif()
    endforeach()
  endforeach()
  set(${out} TRUE PARENT_SCOPE)
endfunction()

# ---- what is there, what is missing ----------------------------------------------------------------------------------

string(TIMESTAMP started "%s")
gatun_cache_key(key)
set(natives_entry "${GATUN_CACHE_DIR}/natives/${key}")
set(peers_entry "${GATUN_CACHE_DIR}/peers/${key}")
file(MAKE_DIRECTORY "${target}" "${GATUN_CACHE_DIR}/locks")

# A fast way out: this checkout has been delivered exactly this already, and nothing else is asked for.
function(is_delivered folder out)
  set(${out} FALSE PARENT_SCOPE)
  if(EXISTS "${folder}.key" AND IS_DIRECTORY "${folder}")
    file(READ "${folder}.key" delivered)
    if(delivered STREQUAL key)
      set(${out} TRUE PARENT_SCOPE)
    endif()
  endif()
endfunction()

is_delivered("${target}/natives" natives_there)
is_delivered("${target}/peers" peers_there)
if(NOT GATUN_PEERS)
  set(peers_there TRUE)
endif()

if(natives_there AND peers_there AND EXISTS "${target}/llama.cpp.path")
  say("libraries are up to date: native/target/natives")
else()
  file(LOCK "${GATUN_CACHE_DIR}/locks/${key}" GUARD PROCESS TIMEOUT 3600)
  check_entry("${natives_entry}" have_natives)
  set(have_peers TRUE)
  if(GATUN_PEERS)
    check_entry("${peers_entry}" have_peers)
  endif()

  if(NOT have_natives OR NOT have_peers)
    gatun_fetch_llama(source)
    # The cache entry's lock does not cover the build folder: another build of this checkout may have another key.
    file(LOCK "${target}/build.lock" GUARD PROCESS TIMEOUT 3600)
    set(targets "")
    if(NOT have_natives)
      list(APPEND targets gatun-natives)
    endif()
    if(NOT have_peers)
      list(APPEND targets gatun-peers)
    endif()
    say("building llama.cpp ${GATUN_PIN_TAG} (a few minutes, once on this machine; the result is kept in ${GATUN_CACHE_DIR})")
    # A build folder of another compiler or toolchain is of no use.
    gatun_toolchain_key(toolchain)
    if(EXISTS "${build}/toolchain.key")
      file(READ "${build}/toolchain.key" before)
    else()
      set(before "")
    endif()
    if(NOT before STREQUAL toolchain)
      file(REMOVE_RECURSE "${build}")
    endif()
    file(MAKE_DIRECTORY "${build}")
    file(WRITE "${build}/toolchain.key" "${toolchain}")
    configure("${build}" "-DGATUN_CACHE_DIR=${GATUN_CACHE_DIR}" "-DGATUN_LLAMA_CPP_DIR=${GATUN_LLAMA_CPP_DIR}"
              "-DGATUN_LLAMA_CPP_UNVERIFIED=${GATUN_LLAMA_CPP_UNVERIFIED}"
              "-DGATUN_VULKAN=${GATUN_VULKAN}" "-DGATUN_CUDA=${GATUN_CUDA}" "-DGATUN_METAL=${GATUN_METAL}"
              "-DGATUN_CPU_VARIANTS=${GATUN_CPU_VARIANTS}" "-DGATUN_PEERS=${GATUN_PEERS}")
    build_targets("${build}" ${targets})
    if(NOT have_natives)
      publish("${build}/natives" "${natives_entry}")
    endif()
    if(NOT have_peers)
      publish("${build}/peers" "${peers_entry}")
    endif()
    file(LOCK "${target}/build.lock" RELEASE)
    string(TIMESTAMP ended "%s")
    math(EXPR seconds "${ended} - ${started}")
    say("built in ${seconds} s: native/target/natives")
  else()
    say("libraries taken from ${natives_entry}")
  endif()
  deliver("${natives_entry}" "${key}" "${target}/natives")
  if(GATUN_PEERS)
    deliver("${peers_entry}" "${key}" "${target}/peers")
  endif()
  # Tests look up vocabularies and templates there; fetching is a no-op when the source is cached.
  gatun_fetch_llama(source)
  file(WRITE "${target}/llama.cpp.path" "${source}\n")
  file(LOCK "${GATUN_CACHE_DIR}/locks/${key}" RELEASE)
endif()

# ---- tests: compiled against the libraries above, never against a second build of llama.cpp --------------------------

if(GATUN_TESTS)
  gatun_fetch_llama(source)
  set(flavours plain)
  if(GATUN_SANITIZE)
    list(APPEND flavours sanitized)
  endif()
  set(results "${target}/test-results.txt")
  file(REMOVE "${results}")
  foreach(flavour IN LISTS flavours)
    set(folder "${target}/test-${flavour}")
    file(LOCK "${folder}.lock" GUARD PROCESS TIMEOUT 3600)
    set(options "-DGATUN_CACHE_DIR=${GATUN_CACHE_DIR}" "-DGATUN_LLAMA_CPP_DIR=${source}"
        "-DGATUN_LLAMA_CPP_UNVERIFIED=${GATUN_LLAMA_CPP_UNVERIFIED}"
        "-DGATUN_PREBUILT=${target}/natives" -DGATUN_TESTS=ON)
    if(flavour STREQUAL "sanitized")
      # The shim is compiled with the sanitizers; that is a minute, so the result is kept like the libraries.
      string(MAKE_C_IDENTIFIER "${GATUN_SANITIZE}" suffix)
      set(entry "${GATUN_CACHE_DIR}/sanitized/${key}-${suffix}")
      file(LOCK "${GATUN_CACHE_DIR}/locks/${key}-${suffix}" GUARD PROCESS TIMEOUT 3600)
      check_entry("${entry}" have_sanitized)
      if(NOT have_sanitized)
        say("building the shim with -fsanitize=${GATUN_SANITIZE}")
        configure("${target}/shim-sanitized" ${options} -DGATUN_TESTS=OFF "-DGATUN_SANITIZE=${GATUN_SANITIZE}")
        build_targets("${target}/shim-sanitized" gatun-natives)
        publish("${target}/shim-sanitized/natives" "${entry}")
        file(REMOVE_RECURSE "${target}/shim-sanitized")
      endif()
      file(LOCK "${GATUN_CACHE_DIR}/locks/${key}-${suffix}" RELEASE)
      list(APPEND options "-DGATUN_PREBUILT_SHIM=${entry}" "-DGATUN_SANITIZE=${GATUN_SANITIZE}")
    endif()
    configure("${folder}" ${options})
    build_targets("${folder}" gatun-tests)
    say("running the native tests (${flavour})")
    run("A native test (${flavour})" ctest --test-dir "${folder}" --output-on-failure --build-config Release)
    file(APPEND "${results}" "${flavour}: passed\n")
    file(LOCK "${folder}.lock" RELEASE)
  endforeach()
endif()

# Gets the pinned llama.cpp source and proves that it is the pinned one.
#
# gatun_fetch_llama(<variable>) sets the variable to the source folder, or stops with one message that names every route.
# Works in script mode too (native/build.cmake calls it before it configures).
include_guard(GLOBAL)
include(Pin)

find_program(GATUN_GIT NAMES git)
mark_as_advanced(GATUN_GIT)

# Runs a command; sets <prefix>_OK and <prefix>_TEXT (the last lines of what it said).
function(gatun_try prefix)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE err)
  string(STRIP "${out}" out)
  string(STRIP "${err}" err)
  set(${prefix}_OUT "${out}" PARENT_SCOPE)
  if("${code}" STREQUAL "0")
    set(${prefix}_OK TRUE PARENT_SCOPE)
    set(${prefix}_TEXT "${out}" PARENT_SCOPE)
  else()
    string(REGEX REPLACE "\r?\n" " / " err "${err}")
    string(LENGTH "${err}" length)
    if(length GREATER 300)
      math(EXPR from "${length} - 300")
      string(SUBSTRING "${err}" ${from} -1 err)
      string(PREPEND err "... ")
    endif()
    if(err STREQUAL "")
      set(err "ended with ${code}")
    endif()
    set(${prefix}_OK FALSE PARENT_SCOPE)
    set(${prefix}_TEXT "${err}" PARENT_SCOPE)
  endif()
endfunction()

# Sets <out> to the git tree id of the files in a folder, or to a text that says why there is none.
function(gatun_tree_id folder out)
  set(git "${GATUN_GIT}" -c safe.directory=*)
  if(EXISTS "${folder}/.git")
    gatun_try(changed ${git} -C "${folder}" status --porcelain --untracked-files=no)
    if(changed_OK AND NOT changed_TEXT STREQUAL "")
      string(REGEX REPLACE "[\r\n].*" "" first "${changed_TEXT}")
      set(${out} "a work tree with local changes (first: ${first})" PARENT_SCOPE)
      return()
    endif()
    gatun_try(tree ${git} -C "${folder}" rev-parse "HEAD^{tree}")
  else()
    # An unpacked archive: hash it through an index of our own, outside the folder.
    string(RANDOM LENGTH 12 suffix)
    set(scratch "${GATUN_CACHE_DIR}/tmp/index-${suffix}")
    file(MAKE_DIRECTORY "${scratch}")
    gatun_try(init ${git} init -q --bare "${scratch}")
    gatun_try(add ${git} --git-dir=${scratch} --work-tree=${folder} -c core.autocrlf=false -c core.bare=false
              -C "${folder}" add -A -f .)
    if(add_OK)
      gatun_try(tree ${git} --git-dir=${scratch} write-tree)
    else()
      set(tree_TEXT "unknown (${add_TEXT})")
    endif()
    file(REMOVE_RECURSE "${scratch}")
  endif()
  set(${out} "${tree_TEXT}" PARENT_SCOPE)
endfunction()

# Moves a verified clone to its place; another process may have done so first, which is just as good.
function(gatun_publish_source from to)
  get_filename_component(parent "${to}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  file(RENAME "${from}" "${to}" RESULT renamed)
  if(NOT renamed STREQUAL "0")
    file(REMOVE_RECURSE "${from}")
  endif()
endfunction()

function(gatun_fetch_llama out)
  if(NOT GATUN_GIT)
    message(FATAL_ERROR "git is needed to fetch and to check llama.cpp; install it or put it on the PATH.")
  endif()

  set(folder "${GATUN_LLAMA_CPP_DIR}")
  if(folder STREQUAL "")
    set(folder "$ENV{GATUN_LLAMA_CPP_DIR}")
  endif()
  if(NOT folder STREQUAL "")
    get_filename_component(folder "${folder}" ABSOLUTE BASE_DIR "$ENV{PWD}")
    if(NOT EXISTS "${folder}/include/llama.h")
      message(FATAL_ERROR "GATUN_LLAMA_CPP_DIR names ${folder}, which holds no llama.cpp source (no include/llama.h).")
    endif()
    gatun_tree_id("${folder}" tree)
    if(NOT tree STREQUAL GATUN_PIN_TREE)
      if(GATUN_LLAMA_CPP_UNVERIFIED OR "$ENV{GATUN_LLAMA_CPP_UNVERIFIED}")
        message(STATUS "llama.cpp: ${folder} is NOT the pinned source (git tree: ${tree}); used because GATUN_LLAMA_CPP_UNVERIFIED is on")
      else()
        message(FATAL_ERROR
                "GATUN_LLAMA_CPP_DIR names ${folder}, which is not llama.cpp ${GATUN_PIN_TAG} as pinned.\n"
                "  its git tree:    ${tree}\n"
                "  the pinned tree: ${GATUN_PIN_TREE}\n"
                "Check out ${GATUN_PIN_TAG} there, unset GATUN_LLAMA_CPP_DIR to have it fetched, "
                "or set GATUN_LLAMA_CPP_UNVERIFIED=ON to build it all the same.")
      endif()
    endif()
    set(${out} "${folder}" PARENT_SCOPE)
    return()
  endif()

  set(source "${GATUN_CACHE_DIR}/llama.cpp/${GATUN_PIN_TREE}")
  if(EXISTS "${source}/include/llama.h")
    gatun_try(cached "${GATUN_GIT}" -c safe.directory=* -C "${source}" rev-parse "HEAD^{tree}")
    if(cached_TEXT STREQUAL GATUN_PIN_TREE)
      set(${out} "${source}" PARENT_SCOPE)
      return()
    endif()
    message(STATUS "llama.cpp: ${source} is damaged; fetching it again")
    file(REMOVE_RECURSE "${source}")
  endif()

  string(RANDOM LENGTH 12 suffix)
  set(scratch "${GATUN_CACHE_DIR}/tmp/source-${suffix}")
  file(REMOVE_RECURSE "${scratch}")
  file(MAKE_DIRECTORY "${scratch}")

  # Route 2: the upstream repository. Never ask for a password, give up on a dead line within seconds.
  message(STATUS "llama.cpp: fetching ${GATUN_PIN_TAG} from ${GATUN_PIN_REPOSITORY}")
  set(quiet "${CMAKE_COMMAND}" -E env GIT_TERMINAL_PROMPT=0 GIT_HTTP_LOW_SPEED_LIMIT=1000 GIT_HTTP_LOW_SPEED_TIME=20)
  execute_process(COMMAND ${quiet} "${GATUN_GIT}" ls-remote --exit-code ${GATUN_PIN_REPOSITORY} refs/tags/${GATUN_PIN_TAG}
                  TIMEOUT 15 RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE said)
  if(code STREQUAL "0")
    gatun_try(upstream ${quiet} "${GATUN_GIT}" -c advice.detachedHead=false -c core.autocrlf=false clone -q --depth 1
              --branch ${GATUN_PIN_TAG} ${GATUN_PIN_REPOSITORY} "${scratch}/source")
  else()
    set(upstream_OK FALSE)
    string(REGEX REPLACE "[\r\n]+" " / " said "${said}")
    string(STRIP "${code} ${said}" upstream_TEXT)
  endif()
  set(reason_upstream "${upstream_TEXT}")
  if(upstream_OK)
    gatun_tree_id("${scratch}/source" tree)
    set(reason_upstream "its tree is ${tree}")
  endif()

  # Route 3: a bundle of the same tree in an npm package; npm checks the package's integrity, we check the tree.
  if(NOT upstream_OK OR NOT tree STREQUAL GATUN_PIN_TREE)
    message(STATUS "llama.cpp: not from there (${reason_upstream})")
    file(REMOVE_RECURSE "${scratch}/source")
    find_program(GATUN_NPM NAMES npm npm.cmd)
    mark_as_advanced(GATUN_NPM)
    if(NOT GATUN_NPM)
      set(reason_npm "npm is not on the PATH")
    else()
      message(STATUS "llama.cpp: fetching it from the npm package ${GATUN_PIN_NPM} (35 MB)")
      execute_process(COMMAND "${GATUN_NPM}" pack --silent ${GATUN_PIN_NPM} WORKING_DIRECTORY "${scratch}" TIMEOUT 300
                      RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE said)
      file(GLOB archive "${scratch}/*.tgz")
      if(NOT code STREQUAL "0" OR archive STREQUAL "")
        string(REGEX REPLACE "[\r\n]+" " / " said "${said}")
        string(SUBSTRING "${said}" 0 300 said)
        set(reason_npm "npm pack: ${code} ${said}")
      else()
        file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${scratch}" PATTERNS "${GATUN_PIN_NPM_BUNDLE}")
        gatun_try(npm "${GATUN_GIT}" -c advice.detachedHead=false -c core.autocrlf=false clone -q
                  "${scratch}/${GATUN_PIN_NPM_BUNDLE}" "${scratch}/source")
        set(reason_npm "${npm_TEXT}")
        if(npm_OK)
          gatun_tree_id("${scratch}/source" tree)
          set(reason_npm "its tree is ${tree}")
        endif()
      endif()
    endif()
  endif()

  if(tree STREQUAL GATUN_PIN_TREE)
    gatun_publish_source("${scratch}/source" "${source}")
    file(REMOVE_RECURSE "${scratch}")
    message(STATUS "llama.cpp: ${GATUN_PIN_TAG} checked (git tree ${GATUN_PIN_TREE}), kept in ${source}")
    set(${out} "${source}" PARENT_SCOPE)
    return()
  endif()
  file(REMOVE_RECURSE "${scratch}")

  # Indented lines keep CMake from re-wrapping the block.
  message(FATAL_ERROR
          "Could not get the source of llama.cpp ${GATUN_PIN_TAG} (git tree ${GATUN_PIN_TREE}).\n"
          "  1. a folder of yours:       GATUN_LLAMA_CPP_DIR is not set\n"
          "  2. upstream's repository:   ${GATUN_PIN_REPOSITORY}: ${reason_upstream}\n"
          "  3. the npm package:         ${GATUN_PIN_NPM}: ${reason_npm}\n"
          "  By hand, on a machine that reaches one of them:\n"
          "    git clone --depth 1 --branch ${GATUN_PIN_TAG} ${GATUN_PIN_REPOSITORY}\n"
          "  or\n"
          "    npm pack ${GATUN_PIN_NPM} && tar xf node-llama-cpp-*.tgz && git clone ${GATUN_PIN_NPM_BUNDLE} llama.cpp\n"
          "  then copy the folder here and run the same command again with\n"
          "    export GATUN_LLAMA_CPP_DIR=/path/to/llama.cpp\n")
endfunction()

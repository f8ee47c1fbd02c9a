# Mends kernels of ggml's CPU modules that would end or corrupt the process, or compute something else. The pinned sources
# stay as they are: changed copies are made in the build folder, and every change has to fit. ADR 0022 has the reasons,
# native/test/weights_test.cpp holds the result.

set(gatun_mended "${CMAKE_BINARY_DIR}/mended")

# gatun_mend(<file> <from> <to> [<from> <to>...]): replaces texts in a source file of ggml-cpu, in every chosen module.
function(gatun_mend file)
  file(READ "${gatun_ggml_src}/ggml-cpu/${file}" text)
  math(EXPR last "${ARGC} - 1")
  foreach(i RANGE 1 ${last} 2) # not through ARGN, where a semicolon would end an argument
    math(EXPR next "${i} + 1")
    set(from "${ARGV${i}}")
    set(to "${ARGV${next}}")
    string(FIND "${text}" "${from}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "ggml-cpu/${file} has changed; does native/cmake/Mend.cmake still fit the pin? Not found: ${from}")
    endif()
    string(REPLACE "${from}" "${to}" text "${text}")
  endforeach()
  file(CONFIGURE OUTPUT "${gatun_mended}/${file}" CONTENT "@text@" @ONLY)

  get_filename_component(folder "${gatun_ggml_src}/ggml-cpu/${file}" DIRECTORY)
  foreach(target IN LISTS GATUN_CPU_TARGETS)
    get_target_property(sources ${target} SOURCES)
    if("ggml-cpu/${file}" IN_LIST sources)
      list(REMOVE_ITEM sources "ggml-cpu/${file}")
      set_target_properties(${target} PROPERTIES SOURCES "${sources}")
      target_sources(${target} PRIVATE "${gatun_mended}/${file}")
      target_include_directories(${target} PRIVATE "${folder}")
    else()
      message(FATAL_ERROR "${target} has no source ggml-cpu/${file}; does native/cmake/Mend.cmake still fit the pin?")
    endif()
  endforeach()
endfunction()

gatun_mend(repack.cpp
  # Four rows of activations are packed at a time as if they followed each other.
  "ggml_quantize_mat_t<INTER_SIZE, PARAM_TYPE>((float *) (data_ptr + i11 * nb11),"
  "thread_local std::vector<float> rows;
                const float * four = (const float *) (data_ptr + i11 * nb11);
                if (nb11 != ne10 * sizeof(float)) {
                    rows.resize(4 * ne10);
                    for (int64_t row = 0; row < 4; row++) {
                        memcpy(rows.data() + row * ne10, data_ptr + (i11 + row) * nb11, ne10 * sizeof(float));
                    }
                    four = rows.data();
                }
                ggml_quantize_mat_t<INTER_SIZE, PARAM_TYPE>(four,"
  "#include \"repack.h\""
  "#include \"repack.h\"
#include <vector>")

gatun_mend(amx/amx.cpp
  # The rows of activations need not follow each other; weights of several matrices stay where they are.
  "!ggml_is_contiguous(src0) || !ggml_is_contiguous(src1)"
  "!ggml_is_contiguous(src0) || src0->ne[2] != 1 || src0->ne[3] != 1 || src1->nb[0] != ggml_type_size(src1->type)"
  # Half-precision weights are not computed with tiles; they would only be copied out of the mapped file.
  "            case GGML_TYPE_F16:
                alignment = 16;
                break;
"
  "")

gatun_mend(amx/mmq.cpp
  # GCC's intrinsic says that it reads 8 of the 64 bytes, so that the others are never written.
  "_tile_loadconfig(&tc);"
  "__asm__ volatile(\"ldtilecfg %0\" : : \"m\"(tc));"
  "from_float<vec_dot_type>(A_data + m * K,"
  "from_float<vec_dot_type>((const float *)((const char *)A_data + m * src1->nb[1]),"
  # One matrix meets the activations of several sequences, and an offset of bytes is not one of floats.
  "src0_offset = ggml_batch_offset(src0, batch_idx, ne2);"
  "src0_offset = 0;"
  "dst_offset  = ggml_batch_offset(dst,  batch_idx, ne2);"
  "dst_offset  = ggml_batch_offset(dst,  batch_idx, ne2) / static_cast<int64_t>(sizeof(float));")

// Prints the CPU features of this machine under the names that ggml's CMake uses for its variants.
// Compiled against ggml's own detection, so that the build and the loader cannot disagree.
#include <cstdio>

#if defined(__x86_64__) || defined(_M_AMD64)

#    include "arch/x86/cpu-feats.cpp"

int main() {
    cpuid_x86 cpu;
    const auto say = [](bool has, const char * name) {
        if (has) {
            std::printf("%s ", name);
        }
    };
    say(cpu.SSE42(), "SSE42");
    say(cpu.AVX(), "AVX");
    say(cpu.AVX2(), "AVX2");
    say(cpu.BMI2(), "BMI2");
    say(cpu.FMA(), "FMA");
    say(cpu.F16C(), "F16C");
    say(cpu.AVX_VNNI(), "AVX_VNNI");
    say(cpu.AVX512F() && cpu.AVX512CD() && cpu.AVX512VL() && cpu.AVX512DQ() && cpu.AVX512BW(), "AVX512");
    say(cpu.AVX512_VBMI(), "AVX512_VBMI");
    say(cpu.AVX512_VNNI(), "AVX512_VNNI");
    say(cpu.AVX512_BF16(), "AVX512_BF16");
    say(cpu.AMX_TILE(), "AMX_TILE");
    say(cpu.AMX_INT8(), "AMX_INT8");
    return 0;
}

#elif defined(__aarch64__) || defined(_M_ARM64)

#    include "ggml-feats.h"

int main() {
    const ggml_feats_arch64_runtime_t cpu = ggml_feats_get_arch64_runtime();
    const auto say = [](bool has, const char * name) {
        if (has) {
            std::printf("%s ", name);
        }
    };
    say(cpu.has_dotprod, "DOTPROD");
    say(cpu.has_fp16, "FP16_VECTOR_ARITHMETIC");
    say(cpu.has_sve, "SVE");
    say(cpu.has_i8mm, "MATMUL_INT8");
    say(cpu.has_sve2, "SVE2");
    say(cpu.has_sme, "SME");
    std::printf("NOSVE ");
    return 0;
}

#else

int main() {
    return 0;
}

#endif

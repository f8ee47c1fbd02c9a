package dev.gatun.bindings;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.gatun.bindings.GeneratedSet.Constant;
import dev.gatun.bindings.GeneratedSet.Function;
import dev.gatun.bindings.GeneratedSet.Struct;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The bindings agree with the headers they were made from, and the comparison would notice. */
class AbiProbeTest {
  private static GeneratedSet set = new GeneratedSet(List.of(), List.of(), List.of(), Map.of());

  @TempDir Path work;

  @BeforeAll
  static void readTheGeneratedClasses() throws Exception {
    set = GeneratedSet.read();
  }

  @Test
  void layoutsConstantsAndSignatures_equalTheHeaders() throws Exception {
    var probe = new AbiProbe(work, TestFiles.llamaSources());
    assertEquals(List.of(), probe.differences(set));
    assertTrue(set.structs().size() > 30, set.structs().size() + " structs");
    assertTrue(set.functions().size() > 500, set.functions().size() + " functions");
    assertTrue(AbiProbe.facts(set) > 2000, AbiProbe.facts(set) + " facts");
  }

  @Test
  void wrongOffset_isReported() throws Exception {
    Struct batch = struct("llama_batch");
    var offsets = new LinkedHashMap<>(batch.offsets());
    offsets.put("pos", 32L);
    var wrong =
        new Struct(batch.name(), batch.type(), batch.bytes(), batch.alignment(), offsets, Map.of());
    assertReported(only(wrong), "offsetof llama_batch.pos: the bindings say 32, the headers 24");
  }

  @Test
  void wrongSizeAndKind_areReported() throws Exception {
    Struct data = struct("llama_token_data");
    var kinds = new LinkedHashMap<>(data.kinds());
    kinds.put("logit", "i4");
    var wrong = new Struct(data.name(), data.type(), 16, data.alignment(), data.offsets(), kinds);
    assertReported(
        only(wrong),
        "kind llama_token_data.logit: the bindings say i4, the headers f4",
        "sizeof llama_token_data: the bindings say 16, the headers 12");
  }

  @Test
  void fieldThatIsGone_isReported() throws Exception {
    Struct data = struct("llama_token_data");
    var offsets = new LinkedHashMap<>(data.offsets());
    offsets.put("logprob", 12L);
    var wrong =
        new Struct(data.name(), data.type(), data.bytes(), data.alignment(), offsets, data.kinds());
    assertReported(only(wrong), "logprob");
  }

  @Test
  void wrongConstant_isReported() throws Exception {
    var wrong =
        new GeneratedSet(
            List.of(), List.of(new Constant("LLAMA_FTYPE_MOSTLY_Q4_0", 3)), List.of(), Map.of());
    assertReported(wrong, "constant LLAMA_FTYPE_MOSTLY_Q4_0: the bindings say 3, the headers 2");
  }

  @Test
  void wrongPrototype_doesNotCompile() throws Exception {
    Function decode = function("llama_decode");
    var wrong =
        new Function(
            decode.owner(),
            decode.name(),
            decode.prototype().replace("int32_t llama_decode", "int64_t llama_decode"),
            decode.signature());
    assertFalse(wrong.equals(decode));
    assertReported(only(wrong), "llama_decode");
  }

  @Test
  void wrongDescriptor_isReported() throws Exception {
    Function decode = function("llama_decode");
    assertEquals("i4(p,s56)", decode.signature());
    var wrong = new Function(decode.owner(), decode.name(), decode.prototype(), "i4(p,p)");
    assertReported(
        only(wrong), "signature llama_decode: the bindings say i4(p,p), the headers i4(p,s56)");
  }

  @Test
  void wrongCallback_isReported() throws Exception {
    var wrong =
        new GeneratedSet(
            List.of(), List.of(), List.of(), Map.of("llama_progress_callback", "z(f8,p)"));
    assertReported(
        wrong, "signature llama_progress_callback: the bindings say z(f8,p), the headers z(f4,p)");
  }

  @Test
  void headerWithAnInsertedField_isReported() throws Exception {
    assertChangedHeaderReported(
        h -> replaced(h, "uint32_t n_batch;", "uint32_t n_new; uint32_t n_batch;"),
        "offsetof llama_context_params.n_batch");
  }

  @Test
  void headerWithSwappedFieldsOfOneSize_isReported() throws Exception {
    assertChangedHeaderReported(
        h -> {
          String swapped = h.replaceFirst("float( +)rope_freq_base;", "float$1rope_freq_SWAP;");
          swapped = swapped.replaceFirst("float( +)rope_freq_scale;", "float$1rope_freq_base;");
          return replaced(swapped, "rope_freq_SWAP;", "rope_freq_scale;");
        },
        "offsetof llama_context_params.rope_freq_base");
  }

  @Test
  void headerWithAnotherEnumValue_isReported() throws Exception {
    assertChangedHeaderReported(
        h -> replaced(h, "LLAMA_POOLING_TYPE_MEAN = 1", "LLAMA_POOLING_TYPE_MEAN = 9"),
        "constant LLAMA_POOLING_TYPE_MEAN: the bindings say 1, the headers 9");
  }

  private void assertChangedHeaderReported(UnaryOperator<String> change, String expected)
      throws Exception {
    Path llama = TestFiles.llamaSources();
    String header = Files.readString(llama.resolve("include/llama.h"));
    Path changed = Files.createDirectory(work.resolve("changed"));
    Files.writeString(changed.resolve("llama.h"), change.apply(header));
    Struct context = struct("llama_context_params");
    var some =
        new GeneratedSet(List.of(withoutKinds(context)), set.constants(), List.of(), Map.of());
    assertEquals(List.of(), new AbiProbe(work, llama).differences(some));
    List<String> differences = new AbiProbe(work, llama, changed).differences(some);
    assertTrue(
        differences.stream().anyMatch(d -> d.contains(expected)),
        () -> expected + " is not in " + differences);
  }

  private static String replaced(String text, String what, String by) {
    String squeezed = text.replaceAll("(?m)(?<=\\S) +", " ");
    assertTrue(squeezed.contains(what), what + " is not in the header");
    return squeezed.replace(what, by);
  }

  private void assertReported(GeneratedSet wrong, String... expected) throws Exception {
    var probe = new AbiProbe(work, TestFiles.llamaSources());
    List<String> differences = probe.differences(wrong);
    assertEquals(expected.length, differences.size(), differences::toString);
    for (int i = 0; i < expected.length; i++) {
      assertTrue(differences.get(i).contains(expected[i]), differences::toString);
    }
  }

  private static Struct withoutKinds(Struct s) {
    return new Struct(s.name(), s.type(), s.bytes(), s.alignment(), s.offsets(), Map.of());
  }

  private static Struct struct(String name) {
    return set.structs().stream().filter(s -> s.name().equals(name)).findFirst().orElseThrow();
  }

  private static Function function(String name) {
    return set.functions().stream().filter(f -> f.name().equals(name)).findFirst().orElseThrow();
  }

  private static GeneratedSet only(Struct struct) {
    return new GeneratedSet(List.of(struct), List.of(), List.of(), Map.of());
  }

  private static GeneratedSet only(Function function) {
    return new GeneratedSet(List.of(), List.of(), List.of(function), Map.of());
  }
}

package dev.gatun.rope;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class HuggingFaceRopeTest {
  private static RopeScaling parse(String json) {
    return HuggingFaceRope.parse(json.replace('\'', '"'));
  }

  @Test
  void everyType_inNewSpellingAndOld() {
    for (String key : List.of("rope_type", "type")) {
      String head = "{'" + key + "':";
      assertEquals(RopeScaling.none(), parse(head + "'default'}"));
      assertEquals(RopeScaling.linear(4), parse(head + "'linear','factor':4.0}"));
      assertEquals(DynamicNtk.vllm(2), parse(head + "'dynamic','factor':2}"));
      assertEquals(RopeScaling.ntkFixed(3), parse(head + "'ntk','factor':3}"));
      assertEquals(RopeScaling.yarn(4), parse(head + "'yarn','factor':4}"));
      assertEquals(
          new Llama3(8, 1, 4, 8192),
          parse(
              head
                  + "'llama3','factor':8.0,'low_freq_factor':1.0,'high_freq_factor':4.0,'original_max_position_embeddings':8192}"));
      for (String name : List.of("longrope", "su")) {
        assertEquals(
            new LongRope(List.of(1.0, 1.25), List.of(2.0, 30.0), 32, 4096, Double.NaN),
            parse(
                head
                    + "'"
                    + name
                    + "','short_factor':[1,1.25],'long_factor':[2.0,30],'factor':32,'original_max_position_embeddings':4096}"));
      }
    }
  }

  @Test
  void yarn_withEverything() {
    assertEquals(
        RopeScaling.yarn(32).withOriginalTokens(4096).withBetas(32, 1).withTruncate(false),
        parse(
            "{'rope_type':'yarn','factor':32.0,'beta_fast':32.0,'beta_slow':1.0,'truncate':false,'original_max_position_embeddings':4096,'rope_theta':150000,'attention_factor':null}"));
    assertEquals(
        new Temperature.Fixed(1.5),
        ((Yarn)
                parse(
                    "{'type':'yarn','factor':4,'attention_factor':1.5,'mscale':1,'mscale_all_dim':1}"))
            .temperature());
    assertEquals(
        new Temperature.DeepSeek(0.707, 1),
        ((Yarn) parse("{'type':'yarn','factor':40,'mscale':0.707,'mscale_all_dim':1.0}"))
            .temperature());
    assertEquals(
        Temperature.standard(),
        ((Yarn) parse("{'type':'yarn','factor':40,'mscale':0.707}")).temperature());
    Yarn vllm =
        (Yarn) parse("{'type':'yarn','factor':4,'attn_factor':2,'extrapolation_factor':0.5}");
    assertEquals(new Temperature.Standard(2), vllm.temperature());
    assertEquals(0.5, vllm.extrapolationFactor());
    assertEquals(
        Temperature.off(),
        ((Yarn) parse("{'type':'yarn','factor':4,'apply_yarn_scaling':false}")).temperature());
  }

  @Test
  void wholeConfigurations() {
    assertEquals(
        RopeScaling.yarn(4).withOriginalTokens(32_768),
        parse(
            "{'model_type':'qwen2','max_position_embeddings':32768,'rope_scaling':{'factor':4.0,'original_max_position_embeddings':32768,'type':'yarn'}}"));
    assertEquals(
        RopeScaling.none(),
        parse("{'max_position_embeddings':4096,'rope_scaling':null,'rope_theta':10000.0}"));
    // Phi-3 states its lengths outside of the scaling, and no factor.
    assertEquals(
        new LongRope(List.of(1.0), List.of(2.0), 32, 4096, Double.NaN),
        parse(
            "{'max_position_embeddings':131072,'original_max_position_embeddings':4096,'rope_scaling':{'type':'su','short_factor':[1.0],'long_factor':[2.0]}}"));
    assertEquals(
        new LongRope(List.of(1.0), List.of(2.0), 32, 4096, 1.243),
        parse(
            "{'max_position_embeddings':131072,'rope_scaling':{'type':'longrope','short_factor':[1.0],'long_factor':[2.0],'short_mscale':1.1,'long_mscale':1.243,'original_max_position_embeddings':4096}}"));
    // transformers 5
    assertEquals(
        RopeScaling.linear(8),
        parse(
            "{'text_config':{'rope_parameters':{'full_attention':{'rope_type':'linear','factor':8.0,'rope_theta':1000000.0},'sliding_attention':{'rope_type':'default','rope_theta':10000.0}}}}"));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[] | JSON",
        "{ | not JSON",
        "{} | rope_type",
        "{'rope_type':4} | rope_type",
        "{'rope_type':'magic','factor':2} | linear, dynamic",
        "{'rope_type':'mrope','mrope_section':[1]} | positions",
        "{'rope_type':'linear'} | factor",
        "{'rope_type':'linear','factor':'8'} | number",
        "{'rope_type':'linear','factor':0.5} | at least 1",
        "{'rope_type':'linear','factor':2,'beta_fast':32} | beta_fast",
        "{'rope_type':'yarn','factor':2,'betafast':32} | betafast",
        "{'rope_type':'yarn','factor':2,'truncate':1} | true or false",
        "{'rope_type':'yarn','factor':2,'beta_fast':1,'beta_slow':32} | larger",
        "{'rope_type':'yarn','factor':2,'original_max_position_embeddings':1.5} | tokens",
        "{'rope_type':'llama3','factor':2,'low_freq_factor':1} | high_freq_factor",
        "{'rope_type':'longrope','factor':2,'short_factor':[1]} | long_factor",
        "{'rope_type':'longrope','factor':2,'short_factor':[1,'a'],'long_factor':[1,2]} | list",
        "{'rope_type':'longrope','short_factor':[1],'long_factor':[1]} | factor"
      })
  void refusals_sayWhatIsWrong(String json, String part) {
    String message = assertThrows(IllegalArgumentException.class, () -> parse(json)).getMessage();
    assertTrue(message.contains(part), message);
  }
}

package dev.gatun.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.w3c.dom.Document;
import org.w3c.dom.NodeList;

class ChartsTest {
  @TempDir Path folder;

  /** Draws a small chart; its own program, because a JVM looks for fonts once. */
  static final class Draw {
    public static void main(String[] args) {
      try {
        heatmap(Path.of(args[0]));
      } catch (CliException e) {
        System.out.println(e.exitCode() + " " + e.getMessage());
      }
    }
  }

  private static void heatmap(Path file) {
    double[][] values = {{1, 0.5}, {0, Double.NaN}, {0.25, 0.75}};
    Charts.heatmap(
        "Needles <&> \u00d74",
        "prompt tokens",
        "depth",
        List.of("4,096", "8,192"),
        List.of("top", "middle", "bottom"),
        values,
        file);
  }

  private static SequencedMap<String, List<double[]>> sixteenLines() {
    SequencedMap<String, List<double[]>> lines = new LinkedHashMap<>();
    for (int i = 0; i < 16; i++) {
      List<double[]> points = new ArrayList<>();
      for (int x = 512; x <= 8192; x *= 2) {
        points.add(new double[] {x, 5 + i});
      }
      lines.put("line " + i, points);
    }
    return lines;
  }

  private static Set<Integer> colours(BufferedImage image) {
    Set<Integer> colours = new HashSet<>();
    for (int y = 0; y < image.getHeight(); y++) {
      for (int x = 0; x < image.getWidth(); x++) {
        colours.add(image.getRGB(x, y));
      }
    }
    return colours;
  }

  private static List<String> texts(Path svg) throws Exception {
    Document document =
        DocumentBuilderFactory.newDefaultInstance().newDocumentBuilder().parse(svg.toFile());
    assertEquals("svg", document.getDocumentElement().getTagName());
    List<String> texts = new ArrayList<>();
    NodeList nodes = document.getElementsByTagName("text");
    for (int i = 0; i < nodes.getLength(); i++) {
      texts.add(nodes.item(i).getTextContent());
    }
    return texts;
  }

  private List<String> left() throws IOException {
    try (var files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).toList();
    }
  }

  @Test
  void heatmap_asPng_hasItsSizeAndTheColoursOfItsValues() throws Exception {
    Path file = folder.resolve("heat.png");
    Files.writeString(file, "an older chart");
    heatmap(file);
    BufferedImage image = ImageIO.read(file.toFile());
    assertEquals(900, image.getWidth());
    assertEquals(600, image.getHeight());
    // Beside the printed values: the first row is at the top, the first column on the left.
    Color one = new Color(image.getRGB(150, 80));
    Color zero = new Color(image.getRGB(150, 300));
    Color missing = new Color(image.getRGB(700, 300));
    Color half = new Color(image.getRGB(700, 80));
    assertTrue(one.getGreen() > one.getRed() + 50, one.toString());
    assertTrue(zero.getRed() > zero.getGreen() + 50, zero.toString());
    assertTrue(half.getRed() > 200 && half.getGreen() > 200 && half.getBlue() < 180, half + "");
    assertTrue(missing.getRed() == missing.getGreen() && missing.getRed() < 255, missing + "");
    assertEquals(List.of("heat.png"), left());
  }

  @Test
  void heatmap_asSvg_isXmlWithEveryLabelAsText() throws Exception {
    Path file = folder.resolve("heat.SVG");
    heatmap(file);
    List<String> texts = texts(file);
    for (String label :
        List.of(
            "Needles <&> \u00d74",
            "prompt tokens",
            "depth",
            "4,096",
            "8,192",
            "top",
            "middle",
            "bottom",
            "1.00",
            "0.50",
            "0.00",
            "\u2013",
            "0.25",
            "0.75")) {
      assertTrue(texts.contains(label), label + " is not in " + texts);
    }
    assertFalse(Files.readString(file).contains("<!DOCTYPE"), "readers would fetch it");
  }

  @Test
  void manyCells_makeALargerPicture_whereEachValueIsPrinted() throws Exception {
    int rows = 40;
    int columns = 30;
    List<String> numbers = new ArrayList<>();
    for (int i = 0; i < rows; i++) {
      numbers.add(Integer.toString(i * 1024));
    }
    Path file = folder.resolve("large.svg");
    Charts.heatmap(
        "Large", "x", "y", numbers.subList(0, columns), numbers, new double[rows][columns], file);
    List<String> texts = texts(file);
    assertEquals(rows * columns, texts.stream().filter("0.00"::equals).count());
    assertTrue(texts.containsAll(numbers), texts.toString());
    assertTrue(Files.readString(file).contains("height=\"10"), "a thousand pixels and more");
  }

  @Test
  void lines_giveEachOfSixteenSeriesAColour() throws Exception {
    Path file = folder.resolve("lines.png");
    Charts.lines("Perplexity", "tokens", "perplexity", sixteenLines(), true, false, file);
    BufferedImage image = ImageIO.read(file.toFile());
    assertEquals(900, image.getWidth());
    assertEquals(600, image.getHeight());
    // A column of pixels inside the plot, between two marks, crosses all of them. The dashed ones
    // may have a gap there, so a few columns are looked at.
    Set<Integer> crossed =
        colours(image.getSubimage(330, 40, 12, 520)).stream()
            .filter(
                rgb -> Color.RGBtoHSB(rgb >> 16 & 255, rgb >> 8 & 255, rgb & 255, null)[1] > 0.5)
            .collect(Collectors.toSet());
    assertTrue(crossed.size() >= 16, crossed.size() + " colours");
  }

  @Test
  void lines_asSvg_nameSeriesAndTicks_andSayWhatALogarithmicAxisLeavesOut() throws Exception {
    SequencedMap<String, List<double[]>> lines = sixteenLines();
    lines.put("gap", List.of(new double[] {0, 1}, new double[] {512, Double.NaN}));
    Path file = folder.resolve("lines.svg");
    Charts.lines("Perplexity", "tokens", "ppl", lines, true, true, file);
    List<String> texts = texts(file);
    assertTrue(texts.containsAll(lines.keySet()), texts.toString());
    assertTrue(texts.containsAll(List.of("512", "1,024", "8,192", "8", "16")), texts.toString());
    assertTrue(
        texts.contains("points left out, at or below 0 on a logarithmic axis: 1"),
        texts.toString());
  }

  @Test
  void linesOfOnePoint_haveAnAxisWithDifferentTicks() throws Exception {
    SequencedMap<String, List<double[]>> one = new LinkedHashMap<>();
    one.put("one", List.of(new double[] {512, 5.13}));
    for (boolean logarithmic : new boolean[] {false, true}) {
      Path file = folder.resolve("one.svg");
      Charts.lines("One", "x", "y", one, logarithmic, logarithmic, file);
      List<String> texts = texts(file);
      assertEquals(Set.copyOf(texts).size(), texts.size(), texts.toString());
      assertTrue(texts.contains("500"), texts.toString());
    }
  }

  @Test
  void logarithmicTicks_areRoundNumbersPowersOfTwoOrOfTen() {
    assertEquals(List.of(512.0, 1024.0, 2048.0, 4096.0), LogTicksAxis.ticks(512, 4096));
    assertEquals(List.of(0.1, 1.0, 10.0, 100.0, 1000.0), LogTicksAxis.ticks(0.09, 2000));
    assertEquals(List.of(500.0, 600.0, 700.0, 800.0, 900.0, 1000.0), LogTicksAxis.ticks(490, 1050));
  }

  @Test
  void otherExtension_isRefused_andTheTwoAreNamed() {
    for (String name : List.of("chart.jpg", "chart", "png")) {
      CliException e = assertThrows(CliException.class, () -> heatmap(folder.resolve(name)));
      assertEquals(ExitCode.USAGE, e.exitCode());
      assertTrue(e.getMessage().contains(".png or .svg"), e.getMessage());
    }
  }

  @Test
  void folderThatIsMissingOrCannotBeWritten_isOneLine() throws IOException {
    Path plain = Files.createFile(folder.resolve("plain"));
    List<Path> wrong =
        new ArrayList<>(List.of(folder.resolve("none/c.png"), plain.resolve("c.svg")));
    wrong.add(Files.createDirectory(folder.resolve("folder.png")));
    if (Files.isDirectory(Path.of("/proc/self"))) {
      wrong.add(Path.of("/proc/self/c.svg")); // not even root may
    }
    for (Path file : wrong) {
      CliException e = assertThrows(CliException.class, () -> heatmap(file));
      assertEquals(ExitCode.FILE, e.exitCode());
      assertEquals(1, e.getMessage().lines().count());
      assertTrue(e.getMessage().startsWith("cannot write " + file), e.getMessage());
    }
  }

  @Test
  void wrongShapesAndValues_areRefused() {
    Path file = folder.resolve("c.svg");
    List<String> one = List.of("a");
    for (double[][] values : new double[][][] {{}, {{0, 1}}, {{1.5}}, {{-0.1}}}) {
      assertThrows(
          IllegalArgumentException.class,
          () -> Charts.heatmap("t", "x", "y", one, one, values, file));
    }
    SequencedMap<String, List<double[]>> nothing = new LinkedHashMap<>();
    nothing.put("empty", List.of(new double[] {1, Double.NaN}));
    assertThrows(
        IllegalArgumentException.class,
        () -> Charts.lines("t", "x", "y", nothing, false, false, file));
    assertFalse(Files.exists(file));
  }

  @Test
  void machineWithoutFonts_isToldWhatToInstall() throws Exception {
    assumeTrue(System.getProperty("os.name").equals("Linux"), "fontconfig is Linux's");
    Path fonts = Files.writeString(folder.resolve("fonts.conf"), "<fontconfig></fontconfig>");
    Path file = folder.resolve("c.png");
    String out =
        java(
            Map.of("FONTCONFIG_FILE", fonts.toString()),
            List.of("-Duser.home=" + folder),
            Draw.class.getName(),
            file.toString());
    assertEquals(1, out.lines().count(), out);
    assertTrue(out.startsWith(ExitCode.NATIVE + " cannot draw a chart"), out);
    assertTrue(out.contains("fontconfig fonts-dejavu-core"), out);
    assertFalse(Files.exists(file));
  }

  @Test
  void run_loadsNothingThatOnlyChartsNeed() throws Exception {
    Path log = folder.resolve("classes.txt");
    String out =
        java(
            Map.of(),
            List.of(
                "-Xlog:class+load=info:file=" + log,
                "-Dgatun.native.dir=" + System.getProperty("gatun.native.dir")),
            "dev.gatun.cli.Main",
            "run",
            "-q",
            "-n",
            "2",
            "--ask",
            "Where does Lena live?",
            "Lena lives in Bath.");
    String loaded = Files.readString(log);
    assertTrue(loaded.contains("dev.gatun.cli.RunCommand"), out);
    for (String part : List.of(" java.awt.", " javax.", " sun.awt.", " org.jfree.", ".batik.")) {
      assertFalse(loaded.contains(part), part + " in " + log + "; " + out);
    }
  }

  private static String java(
      Map<String, String> environment, List<String> options, String main, String... args)
      throws Exception {
    List<String> line = new ArrayList<>();
    line.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    line.addAll(List.of("-XX:+UseSerialGC", "--enable-native-access=ALL-UNNAMED", "-cp"));
    line.add(
        System.getProperty("jdk.module.path", "")
            + File.pathSeparator
            + testClasses()
            + File.pathSeparator
            + System.getProperty("java.class.path"));
    line.addAll(options);
    line.add(main);
    line.addAll(List.of(args));
    ProcessBuilder builder = new ProcessBuilder(line).redirectErrorStream(true);
    builder.environment().putAll(environment);
    Process child = builder.start();
    String out = new String(child.getInputStream().readAllBytes());
    assertTrue(child.waitFor(60, TimeUnit.SECONDS));
    assertEquals(0, child.exitValue(), out);
    return out;
  }

  private static Path testClasses() {
    return Console.root().resolve("src/cli/target/test-classes");
  }
}

package dev.gatun.cli;

import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.geom.Rectangle2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.AtomicMoveNotSupportedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.UUID;
import javax.imageio.ImageIO;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import javax.xml.transform.OutputKeys;
import javax.xml.transform.Transformer;
import javax.xml.transform.TransformerException;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.apache.batik.svggen.SVGGraphics2D;
import org.jfree.chart.JFreeChart;
import org.w3c.dom.Document;
import org.w3c.dom.Element;

/** Writes a chart as PNG or SVG, without a screen. */
final class ChartFile {
  private static final String SVG = "http://www.w3.org/2000/svg";

  /**
   * A chart and the size it is to have.
   *
   * @param width pixels
   * @param height pixels
   */
  record Sized(JFreeChart chart, int width, int height) {}

  private ChartFile() {}

  /**
   * Makes AWT do without a screen and finds out whether it has fonts: it looks for them at the
   * first text, and then fails in ways that name no remedy.
   *
   * @throws CliException if it has none
   */
  static void prepare() {
    System.setProperty("java.awt.headless", "true");
    try {
      BufferedImage image = new BufferedImage(1, 1, BufferedImage.TYPE_INT_RGB);
      Graphics2D graphics = image.createGraphics();
      int unused =
          graphics.getFontMetrics(new Font(Font.SANS_SERIF, Font.PLAIN, 12)).charWidth('0');
      graphics.dispose();
    } catch (RuntimeException | LinkageError | InternalError e) {
      // "Fontconfig head is null", a missing libfreetype or libfontmanager; it depends on the JDK.
      throw CliException.libraries(
          "cannot draw a chart: Java finds no fonts on this machine ("
              + e
              + "); install fontconfig and a font, for example: apt install fontconfig"
              + " fonts-dejavu-core");
    }
  }

  /**
   * Writes the chart; the file is whole or not there.
   *
   * @throws CliException if it cannot be written
   */
  static void write(Sized chart, Path file) {
    // Not createTempFile, whose files only their owner may read.
    Path temporary =
        Charts.folder(file).resolve("." + file.getFileName() + "." + UUID.randomUUID() + ".part");
    try {
      try {
        try (OutputStream out =
            Files.newOutputStream(
                temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
          switch (Charts.format(file)) {
            case PNG -> png(chart, out);
            case SVG -> svg(chart, out);
          }
        }
        move(temporary, file);
      } finally {
        Files.deleteIfExists(temporary);
      }
    } catch (IOException e) {
      throw CliException.file("cannot write " + file + " (" + e + "); name another file");
    }
  }

  private static void move(Path temporary, Path file) throws IOException {
    try {
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (AtomicMoveNotSupportedException e) {
      Files.move(temporary, file, StandardCopyOption.REPLACE_EXISTING);
    }
  }

  private static void png(Sized chart, OutputStream out) throws IOException {
    // The cache of ImageIO would be a file in the temporary folder.
    ImageIO.setUseCache(false);
    BufferedImage image =
        new BufferedImage(chart.width(), chart.height(), BufferedImage.TYPE_INT_RGB);
    draw(chart, image.createGraphics());
    if (!ImageIO.write(image, "png", out)) {
      throw new IOException("this JDK has no PNG writer");
    }
  }

  private static void svg(Sized chart, OutputStream out) throws IOException {
    try {
      DocumentBuilderFactory documents = DocumentBuilderFactory.newDefaultInstance();
      Document document =
          documents.newDocumentBuilder().getDOMImplementation().createDocument(SVG, "svg", null);
      SVGGraphics2D graphics = new SVGGraphics2D(document);
      draw(chart, graphics);
      Element root = graphics.getRoot();
      root.setAttribute("width", Integer.toString(chart.width()));
      root.setAttribute("height", Integer.toString(chart.height()));
      root.setAttribute("viewBox", "0 0 " + chart.width() + " " + chart.height());
      // Batik's own writer adds a document type that readers would fetch from the network.
      Transformer writer = TransformerFactory.newDefaultInstance().newTransformer();
      writer.setOutputProperty(OutputKeys.ENCODING, "UTF-8");
      writer.transform(new DOMSource(root), new StreamResult(out));
    } catch (ParserConfigurationException | TransformerException e) {
      throw new IOException("the chart does not become SVG: " + e.getMessage(), e);
    }
  }

  private static void draw(Sized chart, Graphics2D graphics) {
    chart.chart().draw(graphics, new Rectangle2D.Double(0, 0, chart.width(), chart.height()));
    graphics.dispose();
  }
}

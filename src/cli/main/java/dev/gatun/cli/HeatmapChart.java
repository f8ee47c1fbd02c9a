package dev.gatun.cli;

import java.awt.Color;
import java.awt.Font;
import java.awt.Paint;
import java.util.List;
import java.util.Locale;
import org.jfree.chart.JFreeChart;
import org.jfree.chart.annotations.XYTextAnnotation;
import org.jfree.chart.axis.NumberAxis;
import org.jfree.chart.axis.NumberTickUnit;
import org.jfree.chart.axis.SymbolAxis;
import org.jfree.chart.axis.ValueAxis;
import org.jfree.chart.plot.XYPlot;
import org.jfree.chart.renderer.PaintScale;
import org.jfree.chart.renderer.xy.XYBlockRenderer;
import org.jfree.chart.title.PaintScaleLegend;
import org.jfree.chart.ui.RectangleEdge;
import org.jfree.chart.ui.RectangleInsets;
import org.jfree.data.xy.DefaultXYZDataset;

/** A grid of cells coloured from red (0) over yellow to green (1), with their values printed. */
final class HeatmapChart {
  private static final int FRAME_WIDTH = 230; // about what axis, labels and scale take
  private static final int FRAME_HEIGHT = 150;
  private static final int SMALLEST_CELL_WIDTH = 38;
  private static final int SMALLEST_CELL_HEIGHT = 22;

  /** Red, yellow, green of about the same strength, so that black text is readable on each. */
  private static final Color[] STOPS = {
    new Color(0xE3, 0x5B, 0x4F), new Color(0xFD, 0xE0, 0x8A), new Color(0x4F, 0xB0, 0x68)
  };

  /** The scale; JFreeChart's own knows two colours. */
  private record RedToGreen() implements PaintScale {
    @Override
    public double getLowerBound() {
      return 0;
    }

    @Override
    public double getUpperBound() {
      return 1;
    }

    @Override
    public Paint getPaint(double value) {
      if (Double.isNaN(value)) {
        return ChartLook.MISSING;
      }
      double place = Math.clamp(value, 0, 1) * (STOPS.length - 1);
      int stop = Math.min((int) place, STOPS.length - 2);
      return mixed(STOPS[stop], STOPS[stop + 1], place - stop);
    }

    private static Color mixed(Color from, Color to, double part) {
      return new Color(
          (int) Math.round(from.getRed() + part * (to.getRed() - from.getRed())),
          (int) Math.round(from.getGreen() + part * (to.getGreen() - from.getGreen())),
          (int) Math.round(from.getBlue() + part * (to.getBlue() - from.getBlue())));
    }
  }

  private HeatmapChart() {}

  static ChartFile.Sized of(
      String title,
      String xTitle,
      String yTitle,
      List<String> xLabels,
      List<String> yLabels,
      double[][] values) {
    int columns = xLabels.size();
    int rows = yLabels.size();
    int width = Math.max(ChartLook.WIDTH, FRAME_WIDTH + columns * SMALLEST_CELL_WIDTH);
    int height = Math.max(ChartLook.HEIGHT, FRAME_HEIGHT + rows * SMALLEST_CELL_HEIGHT);
    double cellWidth = (width - FRAME_WIDTH) / (double) columns;
    double cellHeight = (height - FRAME_HEIGHT) / (double) rows;

    PaintScale scale = new RedToGreen();
    XYBlockRenderer renderer = new XYBlockRenderer();
    renderer.setPaintScale(scale);
    SymbolAxis xAxis = labels(xTitle, xLabels);
    int longest = xLabels.stream().mapToInt(String::length).max().orElse(0);
    xAxis.setVerticalTickLabels(longest * 8 > cellWidth);
    SymbolAxis yAxis = labels(yTitle, yLabels);
    yAxis.setInverted(true);

    XYPlot plot = new XYPlot(cells(values, columns), xAxis, yAxis, renderer);
    JFreeChart chart = ChartLook.chart(title, plot);
    plot.setDomainGridlinesVisible(false);
    plot.setRangeGridlinesVisible(false);
    plot.setBackgroundPaint(ChartLook.MISSING);
    Font font = valueFont(cellWidth, cellHeight);
    for (int y = 0; y < rows; y++) {
      for (int x = 0; x < columns; x++) {
        plot.addAnnotation(text(values[y][x], x, y, font), false);
      }
    }
    chart.addSubtitle(legend(scale));
    return new ChartFile.Sized(chart, width, height);
  }

  private static SymbolAxis labels(String title, List<String> labels) {
    SymbolAxis axis = ChartLook.axis(new SymbolAxis(title, labels.toArray(String[]::new)));
    axis.setGridBandsVisible(false);
    axis.setTickMarksVisible(false);
    axis.setLowerMargin(0);
    axis.setUpperMargin(0);
    axis.setRange(-0.5, labels.size() - 0.5);
    return axis;
  }

  private static DefaultXYZDataset cells(double[][] values, int columns) {
    double[][] data = new double[3][values.length * columns];
    for (int y = 0; y < values.length; y++) {
      for (int x = 0; x < columns; x++) {
        int i = y * columns + x;
        data[0][i] = x;
        data[1][i] = y;
        data[2][i] = values[y][x];
      }
    }
    DefaultXYZDataset cells = new DefaultXYZDataset();
    cells.addSeries("cells", data);
    return cells;
  }

  /** "0.75" is about 2.4 times as wide as its font is high. */
  private static Font valueFont(double cellWidth, double cellHeight) {
    double size = Math.clamp(Math.min(cellWidth * 0.8 / 2.4, cellHeight * 0.6), 9, 16);
    return ChartLook.SMALL.deriveFont((float) size);
  }

  private static XYTextAnnotation text(double value, int x, int y, Font font) {
    String text = Double.isNaN(value) ? "\u2013" : String.format(Locale.ROOT, "%.2f", value);
    XYTextAnnotation annotation = new XYTextAnnotation(text, x, y);
    annotation.setFont(font);
    annotation.setPaint(ChartLook.INK);
    return annotation;
  }

  private static PaintScaleLegend legend(PaintScale scale) {
    ValueAxis axis = ChartLook.axis(new NumberAxis());
    axis.setRange(0, 1);
    ((NumberAxis) axis).setTickUnit(new NumberTickUnit(0.25));
    PaintScaleLegend legend = new PaintScaleLegend(scale, axis);
    legend.setPosition(RectangleEdge.RIGHT);
    legend.setSubdivisionCount(100);
    legend.setStripWidth(16);
    legend.setStripOutlineVisible(false);
    legend.setPadding(new RectangleInsets(4, 18, 44, 4));
    legend.setBackgroundPaint(Color.WHITE);
    return legend;
  }
}

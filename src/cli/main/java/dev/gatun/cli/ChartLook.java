package dev.gatun.cli;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import org.jfree.chart.JFreeChart;
import org.jfree.chart.axis.ValueAxis;
import org.jfree.chart.plot.XYPlot;
import org.jfree.chart.text.TextUtils;
import org.jfree.chart.title.TextTitle;
import org.jfree.chart.ui.RectangleInsets;

/** Fonts and colours that all charts share. */
final class ChartLook {
  static final int WIDTH = 900;
  static final int HEIGHT = 600;
  static final Color INK = new Color(0x22, 0x22, 0x22);
  static final Color GRID = new Color(0xDD, 0xDD, 0xDD);
  static final Color MISSING = new Color(0xE4, 0xE4, 0xE4);
  static final Font SMALL = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
  private static final Font AXIS = new Font(Font.SANS_SERIF, Font.PLAIN, 14);
  private static final Font TITLE = new Font(Font.SANS_SERIF, Font.BOLD, 17);

  private ChartLook() {}

  /** Makes a chart of the plot. */
  static JFreeChart chart(String title, XYPlot plot) {
    // Else text that is turned would be drawn as outlines, which nobody can search in an SVG.
    TextUtils.setUseDrawRotatedStringWorkaround(false);
    plot.setBackgroundPaint(Color.WHITE);
    plot.setOutlinePaint(INK);
    plot.setAxisOffset(RectangleInsets.ZERO_INSETS);
    plot.setDomainGridlinePaint(GRID);
    plot.setRangeGridlinePaint(GRID);
    plot.setDomainGridlineStroke(new BasicStroke(1));
    plot.setRangeGridlineStroke(new BasicStroke(1));
    JFreeChart chart = new JFreeChart(title, TITLE, plot, false);
    chart.setBackgroundPaint(Color.WHITE);
    chart.setPadding(new RectangleInsets(10, 10, 10, 14));
    TextTitle heading = chart.getTitle();
    heading.setPaint(INK);
    heading.setPadding(2, 0, 8, 0);
    return chart;
  }

  /** Gives the axis the fonts of all charts. */
  static <A extends ValueAxis> A axis(A axis) {
    axis.setLabelFont(AXIS);
    axis.setLabelPaint(INK);
    axis.setTickLabelFont(SMALL);
    axis.setTickLabelPaint(INK);
    axis.setAxisLineVisible(false);
    axis.setTickMarkPaint(INK);
    return axis;
  }
}

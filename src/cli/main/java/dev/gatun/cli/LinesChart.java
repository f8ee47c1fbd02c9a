package dev.gatun.cli;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Shape;
import java.awt.geom.Ellipse2D;
import java.awt.geom.Line2D;
import java.awt.geom.Path2D;
import java.awt.geom.Rectangle2D;
import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.text.NumberFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SequencedMap;
import org.jfree.chart.JFreeChart;
import org.jfree.chart.axis.LogAxis;
import org.jfree.chart.axis.NumberAxis;
import org.jfree.chart.axis.ValueAxis;
import org.jfree.chart.block.BlockBorder;
import org.jfree.chart.plot.XYPlot;
import org.jfree.chart.renderer.xy.XYLineAndShapeRenderer;
import org.jfree.chart.title.LegendTitle;
import org.jfree.chart.title.TextTitle;
import org.jfree.chart.ui.RectangleEdge;
import org.jfree.chart.ui.RectangleInsets;
import org.jfree.data.Range;
import org.jfree.data.xy.XYSeries;
import org.jfree.data.xy.XYSeriesCollection;

/** Lines with a mark at each point; the legend stands beside or, with long names, below them. */
final class LinesChart {
  private static final int LONG_NAME = 26;

  /** Eight that people with any colour vision tell apart; the next eight are dashed and darker. */
  private static final Color[] COLORS = {
    new Color(0x1F, 0x77, 0xB4),
    new Color(0xE6, 0x6B, 0x00),
    new Color(0x2C, 0x9C, 0x3E),
    new Color(0xC9, 0x2A, 0x2A),
    new Color(0x8A, 0x4F, 0xC7),
    new Color(0x1A, 0xA6, 0xA6),
    new Color(0xD6, 0x4F, 0xA5),
    new Color(0x8C, 0x6D, 0x1F),
  };

  private static final Shape[] MARKS = {
    new Ellipse2D.Double(-4, -4, 8, 8),
    new Rectangle2D.Double(-3.5, -3.5, 7, 7),
    polygon(0, -5, 5, 4, -5, 4),
    polygon(0, -5, 5, 0, 0, 5, -5, 0),
    polygon(0, 5, 5, -4, -5, -4),
  };

  private LinesChart() {}

  static ChartFile.Sized of(
      String title,
      String xTitle,
      String yTitle,
      SequencedMap<String, List<double[]>> series,
      boolean logX,
      boolean logY) {
    XYSeriesCollection data = new XYSeriesCollection();
    int left = 0;
    int drawn = 0;
    int longestName = 0;
    for (Map.Entry<String, List<double[]>> entry : series.entrySet()) {
      XYSeries line = new XYSeries(entry.getKey(), false, true);
      longestName = Math.max(longestName, entry.getKey().length());
      for (double[] point : entry.getValue()) {
        if (logX && point[0] <= 0 || logY && point[1] <= 0) {
          left++;
        } else if (!Double.isNaN(point[0])) {
          line.add(point[0], point[1]);
          drawn += Double.isNaN(point[1]) ? 0 : 1;
        }
      }
      data.addSeries(line);
    }
    if (drawn == 0) {
      throw new IllegalArgumentException("no point of the chart '" + title + "' can be drawn");
    }

    ValueAxis xAxis = axis(xTitle, logX, data.getDomainBounds(false));
    ValueAxis yAxis = axis(yTitle, logY, data.getRangeBounds(false));
    XYPlot plot = new XYPlot(data, xAxis, yAxis, renderer(series.size()));
    JFreeChart chart = ChartLook.chart(title, plot);
    if (left > 0) {
      TextTitle note =
          new TextTitle(
              "points left out, at or below 0 on a logarithmic axis: " + left, ChartLook.SMALL);
      note.setPadding(0, 0, 6, 0);
      chart.addSubtitle(note);
    }
    chart.addSubtitle(legend(plot, longestName > LONG_NAME));
    return new ChartFile.Sized(chart, ChartLook.WIDTH, ChartLook.HEIGHT);
  }

  private static XYLineAndShapeRenderer renderer(int count) {
    XYLineAndShapeRenderer renderer = new XYLineAndShapeRenderer(true, true);
    for (int i = 0; i < count; i++) {
      boolean second = i / COLORS.length % 2 == 1;
      Color color = COLORS[i % COLORS.length];
      renderer.setSeriesPaint(i, second ? color.darker() : color);
      renderer.setSeriesShape(i, MARKS[i % MARKS.length]);
      renderer.setSeriesStroke(i, stroke(second));
    }
    renderer.setDefaultLegendTextFont(ChartLook.SMALL);
    renderer.setLegendLine(new Line2D.Double(-14, 0, 14, 0));
    return renderer;
  }

  private static BasicStroke stroke(boolean dashed) {
    return dashed
        ? new BasicStroke(
            2, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 10, new float[] {7, 4}, 0)
        : new BasicStroke(2, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND);
  }

  private static LegendTitle legend(XYPlot plot, boolean below) {
    LegendTitle legend = new LegendTitle(plot);
    legend.setItemFont(ChartLook.SMALL);
    legend.setItemPaint(ChartLook.INK);
    legend.setFrame(BlockBorder.NONE);
    legend.setBackgroundPaint(Color.WHITE);
    legend.setItemLabelPadding(new RectangleInsets(3, 4, 3, 10));
    legend.setPosition(below ? RectangleEdge.BOTTOM : RectangleEdge.RIGHT);
    legend.setMargin(below ? new RectangleInsets(8, 0, 0, 0) : new RectangleInsets(0, 12, 0, 0));
    return legend;
  }

  private static ValueAxis axis(String title, boolean logarithmic, Range range) {
    NumberFormat numbers =
        new DecimalFormat("#,##0.######", DecimalFormatSymbols.getInstance(Locale.ROOT));
    ValueAxis axis =
        logarithmic ? logarithmicAxis(title, range, numbers) : linearAxis(title, range, numbers);
    // JFreeChart would make an axis for a single value 1e-8 long, each tick with the same label.
    if (range.getLength() <= 1e-6 * Math.abs(range.getUpperBound())) {
      double value = range.getCentralValue();
      double around = value == 0 ? 1 : Math.abs(value) / 2;
      axis.setRange(value - around, value + around);
    }
    return axis;
  }

  private static ValueAxis linearAxis(String title, Range range, NumberFormat numbers) {
    NumberAxis axis = ChartLook.axis(new NumberAxis(title));
    axis.setNumberFormatOverride(numbers);
    double lowest = range.getLowerBound();
    axis.setAutoRangeIncludesZero(lowest >= 0 && lowest < 0.4 * range.getUpperBound());
    axis.setTickLabelInsets(new RectangleInsets(7, 4, 7, 4)); // fewer of them
    return axis;
  }

  private static ValueAxis logarithmicAxis(String title, Range range, NumberFormat numbers) {
    LogAxis axis = ChartLook.axis(new LogTicksAxis(title));
    axis.setNumberFormatOverride(numbers);
    axis.setSmallestValue(range.getLowerBound() / 2);
    return axis;
  }

  private static Path2D polygon(double... xy) {
    Path2D path = new Path2D.Double();
    path.moveTo(xy[0], xy[1]);
    for (int i = 2; i < xy.length; i += 2) {
      path.lineTo(xy[i], xy[i + 1]);
    }
    path.closePath();
    return path;
  }
}

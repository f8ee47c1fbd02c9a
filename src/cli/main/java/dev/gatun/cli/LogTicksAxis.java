package dev.gatun.cli;

import java.awt.Graphics2D;
import java.awt.geom.Rectangle2D;
import java.util.ArrayList;
import java.util.List;
import org.jfree.chart.axis.AxisState;
import org.jfree.chart.axis.LogAxis;
import org.jfree.chart.axis.NumberTick;
import org.jfree.chart.ui.RectangleEdge;
import org.jfree.chart.ui.TextAnchor;

/**
 * A logarithmic axis whose ticks suit its length: round numbers on a short one, powers of two
 * (which context lengths are) on a longer one, powers of ten on a long one. JFreeChart's own has
 * powers of one base, and on a short axis none at all.
 */
final class LogTicksAxis extends LogAxis {
  private static final long serialVersionUID = 1L;
  private static final int MOST_TICKS = 10;
  private static final double SHORT = 4; // upper / lower
  private static final double LONG = 5000;

  LogTicksAxis(String title) {
    super(title);
    setMinorTickMarksVisible(false);
  }

  @Override
  public List<NumberTick> refreshTicks(
      Graphics2D graphics, AxisState state, Rectangle2D area, RectangleEdge edge) {
    boolean below = RectangleEdge.isTopOrBottom(edge);
    TextAnchor anchor = below ? TextAnchor.TOP_CENTER : TextAnchor.CENTER_RIGHT;
    List<NumberTick> ticks = new ArrayList<>();
    for (double value : ticks(getRange().getLowerBound(), getRange().getUpperBound())) {
      String label = getNumberFormatOverride().format(value);
      ticks.add(new NumberTick(value, label, anchor, TextAnchor.CENTER, 0));
    }
    return ticks;
  }

  /**
   * Chooses the values to mark.
   *
   * @param lower more than 0
   * @param upper more than {@code lower}
   */
  static List<Double> ticks(double lower, double upper) {
    List<Double> ticks = new ArrayList<>();
    if (upper / lower < SHORT) {
      double step = roundStep((upper - lower) / MOST_TICKS);
      for (double i = Math.ceil(lower / step); i * step <= upper; i++) {
        ticks.add(i * step);
      }
      return ticks;
    }
    double base = upper / lower <= LONG ? 2 : 10;
    int first = (int) Math.ceil(Math.log(lower) / Math.log(base) - 1e-9);
    int last = (int) Math.floor(Math.log(upper) / Math.log(base) + 1e-9);
    int step = (last - first) / MOST_TICKS + 1;
    for (int power = first; power <= last; power += step) {
      ticks.add(Math.pow(base, power));
    }
    return ticks;
  }

  /** The next of 1, 2, 5, 10, 20, … and 0.5, 0.2, … that is not smaller. */
  private static double roundStep(double atLeast) {
    double ten = Math.pow(10, Math.floor(Math.log10(atLeast)));
    for (double factor : new double[] {1, 2, 5}) {
      if (factor * ten >= atLeast) {
        return factor * ten;
      }
    }
    return 10 * ten;
  }
}

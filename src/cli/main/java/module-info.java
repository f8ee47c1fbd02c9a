/** The command line of Gatun: thin commands over {@code dev.gatun.core}. Exports nothing. */
module dev.gatun.cli {
  requires dev.gatun.core;
  requires info.picocli;
  requires java.desktop; // charts; nothing else loads a class of it
  requires java.logging; // JLine's own log
  requires java.xml; // charts as SVG
  requires jdk.unsupported; // JLine's signal handlers: Ctrl-C ends the answer, not the program
  requires org.apache.xmlgraphics.batik.svggen;
  requires org.jfree.jfreechart;
  requires org.jline;
  requires tools.jackson.core;
  requires static org.jspecify;

  provides System.LoggerFinder with
      dev.gatun.cli.CliLoggers;
}

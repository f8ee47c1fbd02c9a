package dev.gatun.cli;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPath(Console.root().resolve("src/cli/target/classes"));

  @Test
  void commands_useOnlyWhatTheLibraryExports() {
    noClasses()
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("dev.gatun.bindings..", "dev.gatun.internal..")
        .check(CLASSES);
  }

  @Test
  void theLineEditor_isUsedInOnePlace() {
    noClasses()
        .that()
        .haveNameNotMatching("dev\\.gatun\\.cli\\.EditedLines(\\$.*)?")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.jline..")
        .check(CLASSES);
  }

  @Test
  void theFriendlyParser_isUsedInTwoPlaces() {
    noClasses()
        .that()
        .haveNameNotMatching("dev\\.gatun\\.cli\\.(Picocli|CompletionCommand)(\\$.*)?")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("picocli..")
        .check(CLASSES);
  }

  @Test
  void theChartLibraries_areUsedByChartsOnly() {
    noClasses()
        .that()
        .haveNameNotMatching(
            "dev\\.gatun\\.cli\\.(ChartFile|ChartLook|HeatmapChart|LinesChart|LogTicksAxis)(\\$.*)?")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("org.jfree..", "org.apache.batik..", "java.awt..", "javax.imageio..")
        .check(CLASSES);
  }
}

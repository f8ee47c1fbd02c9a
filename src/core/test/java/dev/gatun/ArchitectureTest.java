package dev.gatun;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import org.junit.jupiter.api.Test;

/** Imports point down, without cycles; only {@code internal} knows the bindings. */
class ArchitectureTest {
  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("dev.gatun");

  private static final String[] VALUES = {
    "dev.gatun.rope..",
    "dev.gatun.kv..",
    "dev.gatun.offload..",
    "dev.gatun.sampling..",
    "dev.gatun.chat..",
    "dev.gatun.gguf.."
  };

  @Test
  void onlyInternal_importsTheBindings() {
    noClasses()
        .that()
        .resideOutsideOfPackages("dev.gatun.internal..", "dev.gatun.bindings..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("dev.gatun.bindings..")
        .check(CLASSES);
  }

  @Test
  void values_knowNothingNative() {
    noClasses()
        .that()
        .resideInAnyPackage(VALUES)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("dev.gatun", "dev.gatun.internal..", "dev.gatun.bindings..")
        .check(CLASSES);
  }

  @Test
  void internal_doesNotKnowThePublicHeart() {
    noClasses()
        .that()
        .resideInAPackage("dev.gatun.internal..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("dev.gatun")
        .check(CLASSES);
  }

  @Test
  void errors_areALeaf() {
    noClasses()
        .that()
        .resideInAPackage("dev.gatun.error..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("dev.gatun", "dev.gatun.internal..", "dev.gatun.bindings..")
        .orShould()
        .dependOnClassesThat()
        .resideInAnyPackage(VALUES)
        .check(CLASSES);
  }

  @Test
  void packages_haveNoCycles() {
    slices().matching("dev.gatun.(**)").should().beFreeOfCycles().check(CLASSES);
  }
}

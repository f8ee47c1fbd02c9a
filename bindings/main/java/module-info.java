/** The native border: generated bindings, the loader, and the only restricted calls of Gatun. */
@SuppressWarnings("module") // the modules named here are built after this one
module dev.gatun.bindings {
  requires static org.jspecify;

  exports dev.gatun.bindings to
      dev.gatun.core,
      dev.gatun.bench;
  exports dev.gatun.bindings.generated to
      dev.gatun.core,
      dev.gatun.bench;
}

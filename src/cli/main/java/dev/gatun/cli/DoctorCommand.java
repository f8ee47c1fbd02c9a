package dev.gatun.cli;

import dev.gatun.LlamaRuntime;
import dev.gatun.error.NativeLibraryException;
import dev.gatun.offload.Device;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Checks everything that has to be there, and says what is wrong with the rest. */
final class DoctorCommand extends Command {
  /**
   * One thing that was looked at.
   *
   * @param name what
   * @param good whether it is as it should be
   * @param detail what was found
   */
  record Check(String name, boolean good, String detail) {}

  private boolean json;

  @Override
  String name() {
    return "doctor";
  }

  @Override
  String summary() {
    return "Checks the Java runtime, the native libraries, the devices and the folders";
  }

  @Override
  String footer() {
    return "The exit code is 0 when everything is well and 1 when something is not.\n";
  }

  @Override
  void declare(OptionTable table) {
    table.flag("--json", "Write JSON.", () -> json = true);
  }

  @Override
  int call(Io io) {
    List<Check> checks = new ArrayList<>(Machine.checks());
    @Nullable LlamaRuntime runtime = runtime(checks);
    if (runtime != null) {
      checks.add(new Check("llama.cpp", true, runtime.llamaVersion()));
      checks.add(libraries(runtime.nativeFolder(), runtime.damagedLibraries()));
      backends(checks, runtime);
      for (Device device : runtime.devices()) {
        checks.add(
            new Check(
                "device " + device.name(),
                true,
                device.description()
                    + ", "
                    + device.kind().name().toLowerCase(Locale.ROOT).replace('_', ' ')
                    + ", "
                    + Values.bytes(device.freeBytes())
                    + " of "
                    + Values.bytes(device.totalBytes())
                    + " free"));
      }
    }
    checks.addAll(Machine.folders());
    boolean good = checks.stream().allMatch(Check::good);
    io.print(json ? DoctorJson.of(checks, good) + "\n" : text(checks, good));
    return good ? ExitCode.OK : ExitCode.FAILURE;
  }

  private static @Nullable LlamaRuntime runtime(List<Check> checks) {
    try {
      LlamaRuntime runtime = LlamaRuntime.load();
      checks.add(new Check("native access", true, "granted"));
      return runtime;
    } catch (NativeLibraryException e) {
      checks.add(new Check("native libraries", false, ErrorMapper.map(e).line()));
      return null;
    }
  }

  static Check libraries(Path folder, List<String> damaged) {
    return damaged.isEmpty()
        ? new Check("native libraries", true, folder + ", hashes of all files verified")
        : new Check("native libraries", false, String.join("; ", damaged) + "; build them again");
  }

  private static void backends(List<Check> checks, LlamaRuntime runtime) {
    List<LlamaRuntime.Backend> backends = runtime.backends();
    boolean cpu = false;
    for (LlamaRuntime.Backend backend : backends) {
      cpu |= backend.loaded() && backend.name().toLowerCase(Locale.ROOT).contains("cpu");
      // A back end that this machine cannot use is no fault: there is another one.
      checks.add(
          new Check(
              "back end " + backend.name(),
              true,
              backend.loaded() ? "in use" : "not in use: " + backend.detail()));
    }
    if (!cpu) {
      checks.add(
          new Check(
              "CPU back end",
              false,
              "none could be loaded; build again with `mvn package` or ./gatun"));
    }
  }

  private static String text(List<Check> checks, boolean good) {
    StringBuilder text = new StringBuilder();
    for (Check check : checks) {
      text.append(check.good() ? "ok       " : "PROBLEM  ")
          .append(String.format(Locale.ROOT, "%-22s ", check.name()))
          .append(check.detail())
          .append('\n');
    }
    return text.append(good ? "Everything is well.\n" : "Something is wrong; see PROBLEM above.\n")
        .toString();
  }
}

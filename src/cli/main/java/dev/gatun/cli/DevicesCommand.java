package dev.gatun.cli;

import dev.gatun.LlamaRuntime;
import dev.gatun.offload.Device;
import java.util.List;
import java.util.Locale;

/** Lists what can compute. */
final class DevicesCommand extends Command {
  private boolean json;

  @Override
  String name() {
    return "devices";
  }

  @Override
  String summary() {
    return "Lists the devices that models can run on";
  }

  @Override
  void declare(OptionTable table) {
    table.flag("--json", "Write JSON.", () -> json = true);
  }

  @Override
  int call(Io io) {
    List<Device> devices = LlamaRuntime.load().devices();
    if (json) {
      io.line(DevicesJson.of(devices));
      return ExitCode.OK;
    }
    Table table = new Table("device", "kind", "back end", "memory", "free", "description");
    for (Device device : devices) {
      table.row(
          device.name(),
          device.kind().name().toLowerCase(Locale.ROOT).replace('_', ' '),
          device.backend(),
          Values.bytes(device.totalBytes()),
          Values.bytes(device.freeBytes()),
          device.description());
    }
    io.print(table.toString());
    return ExitCode.OK;
  }
}

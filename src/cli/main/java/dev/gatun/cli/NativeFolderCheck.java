package dev.gatun.cli;

import dev.gatun.cli.DoctorCommand.Check;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;

/**
 * Compares the native libraries with the hashes that the build wrote beside them, in {@code
 * *.index} files.
 */
final class NativeFolderCheck {
  private NativeFolderCheck() {}

  static Check of(Path folder) {
    List<String> faults = new ArrayList<>();
    int files = 0;
    try (Stream<Path> entries = Files.list(folder)) {
      List<Path> indexes = entries.filter(p -> p.toString().endsWith(".index")).sorted().toList();
      for (Path index : indexes) {
        for (String line : Files.readAllLines(index)) {
          String[] fields = line.strip().split(" ", 3);
          if (line.isBlank() || line.startsWith("#") || fields.length != 3) {
            continue;
          }
          files++;
          Path file = folder.resolve(fields[2]);
          if (!Files.isRegularFile(file)) {
            faults.add(fields[2] + " is missing");
          } else if (!sha256(file).equals(fields[0])) {
            faults.add(fields[2] + " was changed");
          }
        }
      }
      if (indexes.isEmpty()) {
        faults.add("there is no .index file with hashes");
      }
    } catch (IOException e) {
      faults.add(e.toString());
    }
    return faults.isEmpty()
        ? new Check("native libraries", true, folder + ", hashes of " + files + " files verified")
        : new Check(
            "native libraries", false, folder + ": " + String.join(", ", faults) + "; build again");
  }

  private static String sha256(Path file) throws IOException {
    try {
      return HexFormat.of()
          .formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e); // every Java has it
    }
  }
}

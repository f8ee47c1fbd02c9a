package dev.gatun.files;

import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;

/** Files that tell what somebody's text was: only their owner may read them. */
public final class OwnerOnly {
  private OwnerOnly() {}

  /** Returns what a new file is to be made with; nothing where the platform has no such rights. */
  public static FileAttribute<?>[] attributes(Path file) {
    if (!file.getFileSystem().supportedFileAttributeViews().contains("posix")) {
      return new FileAttribute<?>[0];
    }
    return new FileAttribute<?>[] {
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
    };
  }
}

import Glibc

/// Says on standard error why the program ends, and ends it.
func fail(_ message: String) -> Never {
  let line = Array("error: \(message)\n".utf8)
  _ = unsafe write(STDERR_FILENO, line, line.count)
  exit(2)
}

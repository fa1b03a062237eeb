import Foundation
import Graft
import Synchronization
import Testing

@Suite struct `Files that change while they are read` {
  private let workspace = Workspace()

  /// A callback that does something once, when the first bytes were read.
  private func once(_ action: @escaping @Sendable () throws -> Void) -> Graft.Progress {
    let isDone = Mutex(false)
    return Graft.Progress { _ in
      isDone.withLock { isDone in
        guard !isDone else { return }
        isDone = true
        try? action()
      }
    }
  }

  private func copy() throws -> String {
    try workspace.copy(golden("families/llama-bf16/model.safetensors"), to: "model.safetensors")
  }

  @Test func `a file that another takes the place of is read to its end as it was`() throws {
    let path = try copy()
    let replacement = try workspace.copy(golden("layouts/kohya.safetensors"), to: "other")
    let replacing = once { try #require(rename(replacement, path) == 0) }
    let result = try verify(path, threadCount: 1, progress: replacing)
    #expect(result.defects == [])
    #expect(result.byteCount == (try verify(golden("families/llama-bf16"))).byteCount)
    // The next reader gets the new one.
    #expect(try inspect(OpenedCheckpoint(path: path)).layout == .kohya)
  }

  @Test func `a file that is written to ends in an error that names it`() throws {
    let path = try copy()
    let size = try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
    // Later than the clock's tick in which the file was made.
    usleep(20_000)
    let writing = once {
      let file = try FileHandle(forUpdating: URL(filePath: path))
      try file.seek(toOffset: UInt64(size - 2))
      try file.write(contentsOf: [0, 0])
      try file.close()
    }
    let error = StorageError(
      .changed(expectedBytes: size, foundBytes: size), file: path,
      remedy: "run this again when nothing writes to the file")
    #expect(throws: error) { try verify(path, threadCount: 1, progress: writing) }
    #expect(error.diagnosis.kind == .inputOutput)
    #expect(error.diagnosis.location == path)
  }

  @Test func `a file that gets shorter ends in an error, whatever was read of it`() throws {
    let (first, second) = (try copy(), golden("families/llama-bf16/model.safetensors"))
    let cutting = once {
      let file = try FileHandle(forUpdating: URL(filePath: first))
      try file.truncate(atOffset: 20_000)
      try file.close()
    }
    #expect(throws: StorageError.self) {
      try diff(
        OpenedCheckpoint(path: first), OpenedCheckpoint(path: second),
        options: DiffOptions(threadCount: 1), progress: cutting)
    }
  }
}

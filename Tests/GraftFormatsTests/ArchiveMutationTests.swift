import Glibc
import GraftCore
import GraftFormats
import TestSupport
import Testing

/// Damaged archives and pickles end in an error or in content that can be read whole; a trap would end the test run.
struct ArchiveMutationTests {
  let folder = TemporaryFolder()

  private func overwrite(_ path: String, with bytes: [UInt8]) throws {
    let file = try #require(fopen(path, "w"))
    defer { fclose(file) }
    try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
  }

  /// Opens every mutant, reads what opens, and counts it.
  private func survivors(
    of bytes: [UInt8], _ open: (String) throws -> any CheckpointReader
  ) throws -> Int {
    let path = folder.path + "/mutant"
    var count = 0
    for mutant in MutationTests.mutants(of: bytes) {
      try overwrite(path, with: mutant)
      _ = try FormatSniffer.sniff(path: path)
      guard let reader = try? open(path) else { continue }
      count += 1
      for (tensor, info) in reader.tensors.enumerated() where info.byteCount < 1 << 16 {
        _ = try? reader.bytes(of: tensor)
        try? reader.checkStoredBytes(of: tensor)
      }
    }
    return count
  }

  @Test(arguments: ["tied", "nested", "stack-two", "protocol-4", "transposed"])
  func `damaged PyTorch files`(name: String) throws {
    let bytes = try Repository.bytes("Formats/pytorch/accept/\(name).pt")
    #expect(try survivors(of: bytes) { try PyTorchReader(path: $0) } > 0)
  }

  @Test(arguments: ["plain.npy", "version-2.npy", "fortran.npy", "archive-deflated.npz"])
  func `damaged NumPy files`(name: String) throws {
    let bytes = try Repository.bytes("Formats/numpy/accept/\(name)")
    #expect(try survivors(of: bytes) { try NumPyReader(path: $0) } > 0)
  }

  @Test func `pickles of opcodes in random order`() throws {
    let opcodes: [UInt8] = Array(
      "(.0NKMJGXUTBC)]}aest q r h j c R b Q".utf8.filter { $0 != 0x20 })
    let more: [UInt8] = [
      0x80, 0x81, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x8F, 0x90, 0x91, 0x93, 0x94, 0x95, 0,
      1,
      2, 3,
    ]
    let pool = opcodes + more
    var random = RandomSource(state: 99)
    let path = folder.path + "/random"
    for _ in 0..<20_000 {
      let bytes: [UInt8] =
        [0x80, 2, 0x5D, 0x28]
        + (0..<random.below(24)).map { _ in pool[random.below(pool.count)] } + [0x65, 0x2E]
      try overwrite(path, with: bytes)
      #expect(throws: StorageError.self) { try PyTorchReader(path: path) }
    }
  }
}

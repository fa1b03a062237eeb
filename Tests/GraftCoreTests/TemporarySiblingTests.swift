import Foundation
import GraftCore
import TestSupport
import Testing

@Suite struct `What a killed process left` {
  private let scratch = TemporaryFolder()
  private var folder: String { scratch.path }

  private func put(_ name: String) throws {
    try Data([1]).write(to: URL(filePath: folder + "/" + name))
  }

  @Test func `goes when its target is written, whatever it is`() throws {
    try put(".x.4711-abc.partial")
    try Directory.create(folder + "/.x.4712-0.partial")
    try put(".x.4712-0.partial/inside")
    try AtomicFile.write([2], to: folder + "/x")
    #expect(try Directory.entries(of: folder) == ["x"])
  }

  @Test(arguments: [
    ".y.4711-abc.partial", ".x.partial", ".x.notes.partial", ".x.1-2-3.partial", ".x.4711-abc",
    "x.4711-abc.partial",
  ])
  func `stays where the name isn't that of a sibling`(name: String) throws {
    try put(name)
    try AtomicFile.write([2], to: folder + "/x")
    #expect(try Directory.entries(of: folder).contains(name))
  }

  @Test func `is told from what another is writing now`() throws {
    let (file, directory) = (
      try AtomicFile(path: folder + "/x"), try AtomicDirectory(path: folder + "/x")
    )
    try file.output.write([1], at: 0)
    try directory.write([1], named: "inside")
    try AtomicFile.write([2], to: folder + "/x")
    #expect(try Directory.entries(of: folder).count == 3)
    try file.commit()
    #expect(try InputFile.contents(of: folder + "/x", atMost: 9) == [1])
    // A directory doesn't take a file's place, and the file stays.
    #expect(throws: StorageError.self) { try directory.commit() }
    #expect(try InputFile.contents(of: folder + "/x", atMost: 9) == [1])
  }

  // MARK: - Long names

  /// Names about as long as file systems let them be, of one byte and of three to a character.
  static let longNames =
    [226, 227, 228, 240, 255].map { String(repeating: "a", count: $0) } + [
      String(repeating: "\u{6F22}", count: 85), "a" + String(repeating: "\u{6F22}", count: 76),
    ]

  @Test(arguments: longNames)
  func `has a name that isn't too long where the target's is almost`(name: String) throws {
    let path = folder + "/" + name
    try AtomicFile.write([1], to: path)
    try AtomicFile.write([2], to: path)
    #expect(try InputFile.contents(of: path, atMost: 9) == [2])
    #expect(try Directory.entries(of: folder) == [name])
    Directory.discard(path)
    let directory = try AtomicDirectory(path: path)
    try directory.write([3], named: "inside")
    try directory.commit()
    #expect(try Directory.entries(of: folder) == [name])
    Directory.discard(path)
    #expect(try Directory.entries(of: folder) == [])
  }

  @Test(arguments: longNames)
  func `is found again by its shortened name, and not for another target`(name: String) throws {
    let sibling = try { () throws -> String in
      let file = try AtomicFile(path: folder + "/" + name)
      let names = try withExtendedLifetime(file) { try Directory.entries(of: folder) }
      return try #require(names.first)
    }()
    #expect(sibling.utf8.count <= 255)
    #expect(try Directory.entries(of: folder) == [])
    try put(sibling)
    let other = String(name.dropLast()) + "b"
    try AtomicFile.write([2], to: folder + "/" + other)
    #expect(try Directory.entries(of: folder) == [sibling, other])
    try AtomicFile.write([2], to: folder + "/" + name)
    #expect(try Directory.entries(of: folder).sorted() == [name, other].sorted())
  }

  @Test func `isn't made where the target's name is too long`() throws {
    let path = folder + "/" + String(repeating: "a", count: 256)
    let error = StorageError(
      .system(call: "lstat", errno: ENAMETOOLONG), file: path,
      remedy: "a name has at most 255 bytes, a path 4,095")
    #expect(throws: error) { _ = try AtomicFile(path: path) }
    #expect(throws: error) { _ = try AtomicDirectory(path: path) }
    #expect(throws: error) { try Directory.checkWritable(path) }
    #expect(try Directory.entries(of: folder) == [])
  }
}

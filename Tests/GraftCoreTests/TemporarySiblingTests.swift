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
}

import Foundation
import GraftCore
import TestSupport
import Testing

@Suite final class `Files that appear whole` {
  private let scratch = TemporaryFolder()
  private var folder: String { scratch.path }

  private func files(_ names: [String]) throws -> [AtomicFile] {
    try names.map { name in
      let file = try AtomicFile(path: folder + "/" + name)
      try file.output.write(Array(name.utf8), at: 0)
      return file
    }
  }

  @Test func `appear together`() throws {
    try AtomicFile.commit(files(["a", "b", "c"]))
    #expect(try Directory.entries(of: folder) == ["a", "b", "c"])
    for name in ["a", "b", "c"] {
      #expect(try InputFile.contents(of: folder + "/" + name, atMost: 9) == Array(name.utf8))
    }
    try AtomicFile.commit([])
  }

  @Test(arguments: ["a", "b", "c"])
  func `disappear together where one can't appear`(name: String) throws {
    do {
      let files = try files(["a", "b", "c"])
      // A file doesn't take a directory's place.
      try Directory.create(folder + "/" + name)
      let error = #expect(throws: StorageError.self) { try AtomicFile.commit(files) }
      #expect(error?.file == folder + "/" + name)
    }
    #expect(try Directory.entries(of: folder) == [name])
  }

  @Test func `stay as they are where they have the same bytes`() throws {
    let path = folder + "/x"
    func identity() throws -> FileIdentity { try InputFile(path: path).identity }
    try AtomicFile.update([1, 2], at: path)
    let first = try identity()
    try AtomicFile.update([1, 2], at: path)
    #expect(try identity() == first)
    for bytes: [UInt8] in [[1, 3], [1], [1, 2, 3], []] {
      try AtomicFile.update(bytes, at: path)
      #expect(try InputFile.contents(of: path, atMost: 9) == bytes)
    }
  }

  /// The permissions of what stands at a path.
  private func permissions(_ path: String) throws -> mode_t {
    var status = stat()
    try #require(stat(path, &status) == 0)
    return status.st_mode & 0o777
  }

  @Test(arguments: [0o600, 0o640, 0o444, 0o666, 0o755] as [mode_t])
  func `have the permissions of the files that they replace`(mode: mode_t) throws {
    let path = folder + "/x"
    try AtomicFile.write([1], to: path)
    try #require(chmod(path, mode) == 0)
    do {
      let file = try AtomicFile(path: path)
      // Nobody reads the new bytes meanwhile who couldn't read the old ones.
      #expect(try permissions(file.output.path) == mode | 0o600)
      try file.output.write([2], at: 0)
      try file.commit()
    }
    #expect(try permissions(path) == mode)
    #expect(try InputFile.contents(of: path, atMost: 9) == [2])
    try AtomicFile.write([3], to: folder + "/new")
    #expect(try permissions(folder + "/new") & 0o600 == 0o600)
  }

  @Test func `directories and their files have the permissions of those that they replace`() throws
  {
    let path = folder + "/model"
    for number: UInt8 in 0..<2 {
      let directory = try AtomicDirectory(path: path)
      for name in ["a", "b", "inner/c"] + (number == 1 ? ["d"] : []) {
        try directory.write([number], named: name)
      }
      try directory.commit()
      guard number == 0 else { break }
      for (name, mode) in [
        ("", 0o700), ("/a", 0o600), ("/inner", 0o750), ("/inner/c", 0o400),
      ] as [(String, mode_t)] { try #require(chmod(path + name, mode) == 0) }
    }
    #expect(try InputFile.contents(of: path + "/inner/c", atMost: 9) == [1])
    #expect(try permissions(path) == 0o700)
    #expect(try permissions(path + "/a") == 0o600)
    #expect(try permissions(path + "/inner") == 0o750)
    #expect(try permissions(path + "/inner/c") == 0o400)
    // A file that takes no place is like any other.
    try AtomicFile.write([], to: folder + "/usual")
    #expect(try permissions(path + "/d") == permissions(folder + "/usual"))
  }

  @Test func `read-only directories take the places of such, and nothing is left`() throws {
    let path = folder + "/model"
    for number: UInt8 in 0..<3 {
      let directory = try AtomicDirectory(path: path)
      try directory.write([number], named: "inner/a")
      if number > 0 {
        // Whom they let in is known when they are complete.
        #expect(try permissions(directory.temporaryPath) == 0o700)
        #expect(try permissions(directory.temporaryPath + "/inner") == 0o700)
      }
      try directory.commit()
      if number == 0 {
        try #require(chmod(path + "/inner", 0o550) == 0)
        try #require(chmod(path, 0o500) == 0)
      }
      #expect(try permissions(path) == 0o500)
      #expect(try permissions(path + "/inner") == 0o550)
      #expect(try InputFile.contents(of: path + "/inner/a", atMost: 9) == [number])
      #expect(try Directory.entries(of: folder) == ["model"])
    }
    Directory.remove(path)
    #expect(try Directory.entries(of: folder) == [])
  }

  @Test(.enabled(if: OtherGroup.number != nil, "this process is of one group alone"))
  func `have the groups of what they replace`() throws {
    let path = folder + "/model"
    let group = try #require(OtherGroup.number)
    func groupNumber(_ path: String) throws -> gid_t {
      var status = stat()
      try #require(stat(path, &status) == 0)
      return status.st_gid
    }
    for number: UInt8 in 0..<2 {
      let directory = try AtomicDirectory(path: path)
      try directory.write([number], named: "inner/a")
      if number == 1 {
        #expect(try groupNumber(directory.temporaryPath + "/inner/a") == group)
      }
      try directory.commit()
      for place in [path, path + "/inner", path + "/inner/a"] {
        if number == 0 {
          try #require(chown(place, uid_t.max, group) == 0)
          try #require(chmod(place, 0o750) == 0)
        }
        #expect(try groupNumber(place) == group)
        #expect(try permissions(place) == 0o750)
      }
    }
    #expect(try InputFile.contents(of: path + "/inner/a", atMost: 9) == [1])
  }

  @Test func `are for their owner alone where they never appear`() throws {
    let file = try AtomicFile(beside: folder + "/x", holding: "words")
    #expect(try permissions(file.output.path) == 0o600)
  }

  @Test func `folders below one are made`() throws {
    try Directory.create("a/b/c", below: folder)
    try Directory.create("a/b/d", below: folder)
    try Directory.create("", below: folder)
    #expect(try Directory.entries(of: folder + "/a/b") == ["c", "d"])
  }

  // MARK: - Links

  private func link(_ name: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(
      atPath: folder + "/" + name, withDestinationPath: target)
  }

  @Test(arguments: ["real", "chain", "below/chain", "absolute"])
  func `appear where a link leads, also to where nothing stands yet`(name: String) throws {
    try Directory.create(folder + "/below")
    try link("chain", to: "below/chain")
    try link("below/chain", to: "../real")
    try link("absolute", to: folder + "/real")
    let links = ["absolute", "below", "chain"]
    #expect(Directory.isSame(folder + "/" + name, folder + "/real"))
    try Directory.checkWritable(folder + "/" + name)
    for bytes: [UInt8] in [[1], [2]] {
      try AtomicFile.write(bytes, to: folder + "/" + name)
      #expect(try Directory.entries(of: folder) == links + ["real"])
      #expect(try InputFile.contents(of: folder + "/real", atMost: 9) == bytes)
    }
    #expect(Directory.hasLink(at: folder + "/chain"))
    #expect(Directory.hasLink(at: folder + "/below/chain"))
    #expect(Directory.hasLink(at: folder + "/absolute"))
  }

  @Test func `don't take the place of links that lead nowhere`() throws {
    let path = folder + "/link"
    func error(for target: String) throws -> StorageError? {
      Directory.remove(path)
      try link("link", to: target)
      let error = #expect(throws: StorageError.self) { try AtomicFile.write([1], to: path) }
      #expect(try Directory.entries(of: folder) == ["link"])
      #expect(try FileManager.default.destinationOfSymbolicLink(atPath: path) == target)
      return error
    }
    #expect(try error(for: "link") == StorageError(call: "readlink", errno: ELOOP, file: path))
    #expect(
      try error(for: "no/file")
        == StorageError(
          .notFound, file: path, remedy: "there is no directory \(folder)/no"))
    let long = String(repeating: "a", count: 256)
    #expect(try error(for: long) == StorageError(call: "lstat", errno: ENAMETOOLONG, file: path))
    #expect(
      try error(for: "no/")
        == StorageError(
          .notRegular(found: "the name of a directory"), file: path,
          remedy: "it is a symbolic link to \(folder)/no/"))
  }

  @Test func `name the link in an error behind it`() throws {
    let path = folder + "/link"
    try Directory.create(folder + "/below")
    try link("link", to: "below/real")
    let file = try AtomicFile(path: path)
    // A file doesn't take a directory's place.
    try Directory.create(folder + "/below/real")
    let error = #expect(throws: StorageError.self) { try file.commit() }
    #expect(error?.file == path)
  }

  /// The bytes of a name that isn't UTF-8: `x`, 0xFF.
  private static let otherName: [CChar] = [0x78, -1, 0]
  private var otherPath: [CChar] { Array(folder.utf8CString.dropLast()) + [0x2F] + Self.otherName }

  @Test(arguments: [false, true])
  func `don't appear under another name where a link's isn't UTF-8`(isThere: Bool) throws {
    let path = folder + "/link"
    if isThere {
      let descriptor = open(otherPath, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
      try #require(descriptor >= 0)
      close(descriptor)
    }
    defer { unlink(otherPath) }
    try #require(symlink(Self.otherName, path) == 0)
    let names = try Directory.entries(of: folder)
    let expected = StorageError(
      .system(call: isThere ? "realpath" : "readlink", errno: EILSEQ), file: path,
      remedy: "it is a symbolic link to a name that isn't UTF-8; name another target")
    #expect(throws: expected) { try AtomicFile.write([1], to: path) }
    #expect(throws: expected) { try Directory.checkWritable(path) }
    #expect(try Directory.entries(of: folder) == names)
    #expect(Directory.hasLink(at: path))
  }

  @Test func `directories don't appear under another name where a link's isn't UTF-8`() throws {
    try #require(mkdir(otherPath, 0o700) == 0)
    defer { rmdir(otherPath) }
    try #require(symlink(Self.otherName, folder + "/link") == 0)
    let error = #expect(throws: StorageError.self) {
      _ = try AtomicDirectory(path: folder + "/link")
    }
    #expect(error?.reason == .system(call: "realpath", errno: EILSEQ))
  }
}

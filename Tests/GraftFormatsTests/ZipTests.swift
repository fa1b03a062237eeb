import GraftCore
import GraftFormats
import TestSupport
import Testing

struct ZipTests {
  static let vectors = ArchiveVector.table(of: "zip")

  @Test func `the table lists every file`() throws {
    #expect(Set(Self.vectors.map(\.file)) == (try ArchiveVector.files(of: "zip")))
    #expect(Self.vectors.count(where: \.isAccepted) == 21)
    #expect(Self.vectors.count > 110)
  }

  @Test(arguments: vectors.filter(\.isAccepted))
  func `accepts`(vector: ArchiveVector) throws {
    let archive = try ZipArchive(InputFile(path: vector.path))
    let expected = try #require(vector.row["members"]?.object)
    #expect(archive.members.map(\.name.text) == expected.members.map(\.key))
    for (member, size) in zip(archive.members, expected.members) {
      let bytes = try archive.contents(of: member, atMost: 1 << 21)
      #expect(bytes.count == size.value.int)
      try archive.check(member)
    }
  }

  @Test(arguments: vectors.filter { !$0.isAccepted })
  func `rejects with the rule and the byte`(vector: ArchiveVector) throws {
    let error = try #require(throws: StorageError.self) {
      let archive = try ZipArchive(InputFile(path: vector.path))
      for member in archive.members { _ = try archive.contents(of: member, atMost: 1 << 20) }
    }
    try vector.judge(error)
  }

  @Test(arguments: vectors.filter { !$0.isAccepted })
  func `checks by tiles come to the same verdict`(vector: ArchiveVector) throws {
    let error = try #require(throws: StorageError.self) {
      let archive = try ZipArchive(InputFile(path: vector.path))
      for member in archive.members { try archive.check(member) }
    }
    try vector.judge(error)
  }

  @Test func `every rule of the page is in the sources and the other way round`() throws {
    let (stated, cited) = try rules(of: "zip", letter: "Z", in: ["Sources/GraftFormats/Zip"])
    #expect(stated == cited)
    #expect(stated.count == 15)
  }

  @Test func `limits hold where they are lowered`() throws {
    var limits = FormatLimits()
    limits.zipMembers = 1
    let path = Repository.path("Formats/zip/accept/names.zip")
    let error = try #require(throws: StorageError.self) {
      try ZipArchive(InputFile(path: path), limits: limits)
    }
    #expect(error.citation == "zip Z-3")
    limits = FormatLimits()
    limits.zipDirectoryBytes = 10
    #expect(throws: StorageError.self) { try ZipArchive(InputFile(path: path), limits: limits) }
    let archive = try ZipArchive(InputFile(path: path))
    #expect(throws: StorageError.self) { try archive.contents(of: archive.members[0], atMost: 0) }
  }
}

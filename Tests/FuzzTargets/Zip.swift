import GraftCore
import GraftFormats

extension FuzzTarget {
  /// Accepted: members lie in the file and not in each other, and are what their checksums say or end in an error.
  static let zip = FuzzTarget(
    "zip", seeds: ["Formats/zip/accept", "Formats/zip/reject"],
    dictionary: ["PK\u{3}\u{4}", "PK\u{1}\u{2}", "PK\u{5}\u{6}"],
    structure: .archive,
    run: fromFile { path, byteCount in
      guard let file = try? InputFile(path: path), let archive = try? ZipArchive(file) else {
        return
      }
      var end = 0
      for member in archive.members.sorted(by: { $0.stored.lowerBound < $1.stored.lowerBound }) {
        promise(member.stored.lowerBound >= end, "members lie side by side")
        promise(member.stored.upperBound <= byteCount, "and in the file")
        promise(archive[member.name]?.stored == member.stored, "a name is one member's")
        end = member.stored.upperBound
        guard let contents = try? archive.contents(of: member, atMost: 1 << 20) else { continue }
        promise(contents.count == member.byteCount, "a member has its size")
        promise((try? archive.check(member)) != nil, "what can be read is whole")
      }
    })
}

import CFuzzer
import FuzzTargets
import Glibc

/// The target that `GRAFT_FUZZ` names.
let target: FuzzTarget = {
  let name = getenv("GRAFT_FUZZ").map { String(cString: $0) } ?? ""
  guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
    let names = FuzzTarget.all.map(\.name).joined(separator: " ")
    fatalError("GRAFT_FUZZ names one of: \(names)")
  }
  return target
}()

/// libFuzzer's call before all others; with `GRAFT_FUZZ=targets` it lists them with the length of inputs and the seeds, with `dictionary:TARGET` a target's words.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> Int32 {
  let request = getenv("GRAFT_FUZZ").map { String(cString: $0) } ?? ""
  if request == "targets" {
    for target in FuzzTarget.all {
      print(([target.name, "\(target.longest)"] + target.seeds).joined(separator: " "))
    }
    exit(0)
  }
  for target in FuzzTarget.all where request == "dictionary:" + target.name {
    for word in target.dictionary { print("\"" + word.utf8.map(escaped).joined() + "\"") }
    exit(0)
  }
  return 0
}

/// A byte as libFuzzer's dictionaries spell it.
private func escaped(_ byte: UInt8) -> String {
  let isPlain =
    (0x20..<0x7F).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
  let digits = String(byte, radix: 16, uppercase: true)
  return isPlain ? String(UnicodeScalar(byte)) : "\\x" + (digits.count < 2 ? "0" : "") + digits
}

/// libFuzzer's call for one input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  let clock = graft_cpu_seconds()
  graft_heap_begin()
  target.run(bytes)
  let (memory, seconds) = (graft_heap_peak(), graft_cpu_seconds() - clock)
  precondition(memory <= 64 << 20 + 4 * count, "an input of \(count) bytes took \(memory)")
  precondition(seconds <= patience, "an input took \(seconds) s")
  return 0
}

/// The seconds of processor time that an input may take; the sanitizer and the counters of coverage take most of them.
private let patience = 4.0

/// libFuzzer's call for a changed input: half of the time its own mutations, else those that know the format.
@_cdecl("LLVMFuzzerCustomMutator")
public func mutate(
  _ data: UnsafeMutablePointer<UInt8>, _ count: Int, _ maximum: Int, _ seed: UInt32
) -> Int {
  var mutator = Mutator(seed: seed, maximum: maximum)
  let input = Array(UnsafeBufferPointer(start: data, count: count))
  var mutant = Array(mutator.mutant(of: input, target.structure).prefix(maximum))
  // A changed part of a structure often holds the checksums of others.
  for _ in 0..<repairs {
    guard let repaired = target.repairChecksum(mutant) else { break }
    mutant = repaired
  }
  for (position, byte) in mutant.enumerated() { data[position] = byte }
  return mutant.count
}

private let repairs = 6

@_silgen_name("LLVMFuzzerMutate")
private func libFuzzerMutate(
  _ data: UnsafeMutablePointer<UInt8>, _ count: Int, _ maximum: Int
) -> Int

/// libFuzzer's own mutations, the dictionary's words among them.
func generalMutant(of bytes: [UInt8], atMost maximum: Int) -> [UInt8] {
  // Room for an insertion; all that there may be would cost more than the rest of an input.
  let growth = min(max(64, maximum - bytes.count), bytes.count + 256)
  var buffer = bytes + [UInt8](repeating: 0, count: growth)
  let room = min(buffer.count, max(maximum, 1))
  let count = buffer.withUnsafeMutableBufferPointer {
    $0.baseAddress.map { libFuzzerMutate($0, min(bytes.count, room), room) } ?? 0
  }
  return Array(buffer.prefix(count))
}

import Foundation
import Graft
import GraftCore
import GraftHDF5
import TestSupport
import Testing

@Suite struct `Converting HDF5 of others` {
  private let workspace = TemporaryFolder()

  private func open(_ name: String) throws -> OpenedCheckpoint {
    try OpenedCheckpoint(path: workspace(name))
  }

  @Test func `attributes and empty groups of HDF5 stay in HDF5, also in place`() throws {
    _ = try workspace.copy(Repository.root + "/Formats/hdf5/accept/attributes.h5", to: "x.h5")
    let source = try #require(open("x.h5").reader as? HDF5Reader)
    #expect(source.omissions.count == 5)
    for (target, options) in [
      ("y.h5", ConversionOptions()), ("half.h5", ConversionOptions(dtype: .f16)),
      ("small.h5", ConversionOptions(form: .hdf5(.zstd()))), ("x.h5", ConversionOptions()),
    ] {
      let report = try convert(open("x.h5"), to: workspace(target), options: options)
      #expect(report.losses.isEmpty, "\(target)")
      let result = try #require(open(target).reader as? HDF5Reader)
      #expect(result.omissions == source.omissions, "\(target)")
      #expect(result.metadata == [MetadataEntry(key: "unit", value: "metres")])
    }
    // Another file doesn't take their place.
    _ = try workspace.copy(Repository.root + "/Formats/hdf5/accept/lzf.h5", to: "other.h5")
    let error = #expect(throws: StorageError.self) {
      try convert(open("other.h5"), to: workspace("x.h5"))
    }
    #expect(error?.reason == .alreadyExists)
  }

  @Test func `attributes of HDF5 that a form has no place for are named and need the flag`() throws
  {
    let path = try workspace.copy(
      Repository.root + "/Formats/hdf5/accept/attributes.h5", to: "x.h5")
    let before = try Data(contentsOf: URL(filePath: path))
    let words = "the attribute epoch of the root, the attribute nothing of the root"
    for target in ["y.safetensors", "y.npy", "y.weights.h5"] {
      let error = #expect(throws: StorageError.self) {
        _ = try convert(open("x.h5"), to: workspace(target))
      }
      #expect(error?.diagnosis.summary.contains(words) == true, "\(target)")
    }
    #expect(try workspace.names(in: workspace.path) == ["x.h5"])
    #expect(try Data(contentsOf: URL(filePath: path)) == before)
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(open("x.h5"), to: workspace("y.safetensors"), options: options)
    #expect(report.losses.count == 5)
    // The result doesn't take the place of a file that has more.
    let error = #expect(throws: StorageError.self) {
      _ = try convert(open("y.safetensors"), to: path)
    }
    #expect(error?.reason == .alreadyExists)
  }

  @Test func `attributes that HDF5 can't be given anew are named, also in place`() throws {
    let path = try workspace.copy(golden("hdf5/attributes.h5"), to: "x.h5")
    for target in ["x.h5", "y.h5"] {
      let error = #expect(throws: StorageError.self) {
        try convert(open("x.h5"), to: workspace(target))
      }
      #expect(
        error?.diagnosis.summary.contains(
          "the attribute weight_names of model/layer, the attribute color of model/layer/x, ")
          == true)
    }
    var options = ConversionOptions()
    options.allowsLoss = true
    let report = try convert(open("x.h5"), to: workspace("y.h5"), options: options)
    #expect(report.losses.count == 7)
    #expect(try convert(open("y.h5"), to: workspace("z.h5")).losses.isEmpty)
    let error = #expect(throws: StorageError.self) { try convert(open("y.h5"), to: path) }
    #expect(error?.reason == .alreadyExists)
  }
}

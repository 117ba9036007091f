//! netCDF-4 in terms of HDF5: groups with dimension scales, variables that point at them, attributes; and a file as bytes.
//!
//! HDF5 never touches the disk here. A file is encoded into memory ([`encode`]) and decoded from memory ([`decode`]); the
//! standard library moves the bytes. A full disk is then an ordinary `io::Error`, no lock of HDF5 can fail on a network
//! file system, and two threads or processes never meet inside the library.
//!
//! What makes HDF5 readable as netCDF-4: each coordinate is a dataset named like its dimension, with attributes `CLASS`
//! and `NAME` as NUL-*terminated* fixed-length strings (netCDF-C accepts no other, and the safe crate cannot write them)
//! and an `_Netcdf4Dimid` that is unique in the file; each variable carries `DIMENSION_LIST`, one object reference per
//! axis, and each scale `REFERENCE_LIST`, the way back. Reference: netCDF-4 format specification, and HDF5 Dimension
//! Scales Specification (The HDF Group 2005).
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CString;
use std::sync::atomic::{AtomicU64, Ordering};

use hdf5::file::{AttrCreationOrder, LinkCreationOrder};
use hdf5::file::{FileAccess, LibraryVersion};
use hdf5::types::{VarLenArray, VarLenUnicode};
use hdf5::{Datatype, File, Group, H5Type, IndexType, IterationOrder, Location, ObjectReference1};
use ndarray::{ArrayView, ArrayView1, Dimension};

/// Smaller datasets stay contiguous: a chunk index would cost more than compression saves.
const CONTIGUOUS_BYTES: usize = 4096;
/// Upper bound of a chunk.
const CHUNK_BYTES: usize = 512 * 1024;
/// Mantissas hardly compress: after the shuffle, more effort than the least buys nothing.
const DEFLATE_LEVEL: u8 = 1;

/// Names of in-memory files are unique, because HDF5 takes equal names for the same open file.
fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("nicho-in-memory-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The bytes of an HDF5 file that `fill` has written.
///
/// # Errors
/// What HDF5 or `fill` reports.
pub(super) fn encode(fill: impl FnOnce(&Scope) -> hdf5::Result<()>) -> hdf5::Result<Vec<u8>> {
    // The earliest superblock has no checksum. Later ones have, and HDF5 1.10 does not renew it when it clears the flag
    // "open for writing" in the image, so that the image cannot be opened.
    let file = File::with_options()
        .with_fapl(|p| p.core_options(1 << 20, false).libver_bounds(LibraryVersion::Earliest, LibraryVersion::V110))
        .with_fcpl(|p| {
            p.link_creation_order(LinkCreationOrder::Indexed)
                .attr_creation_order(AttrCreationOrder::Indexed)
                .obj_track_times(false)
        })
        .create(unique_name())?;
    let next_dimension = Cell::new(0);
    fill(&Scope { group: file.as_group()?, next_dimension: &next_dimension, scales: Vec::new() })?;
    file.flush()?;
    hdf5::sync::sync(|| {
        // SAFETY: the file is open; with a null buffer the call only returns the size.
        let size = unsafe { hdf5_sys::h5f::H5Fget_file_image(file.id(), std::ptr::null_mut(), 0) };
        let mut bytes = vec![0u8; usize::try_from(size).map_err(|_| "no file image")?];
        // SAFETY: the buffer is writable and as long as the call is told.
        let written = unsafe { hdf5_sys::h5f::H5Fget_file_image(file.id(), bytes.as_mut_ptr().cast(), bytes.len()) };
        if written == size { Ok(bytes) } else { Err("incomplete file image".into()) }
    })
}

/// Opens bytes as an HDF5 file, read-only.
///
/// # Errors
/// What HDF5 reports: not an HDF5 file, truncated, damaged.
pub(super) fn decode(bytes: &[u8]) -> hdf5::Result<File> {
    let access = FileAccess::build().core_options(1 << 20, false).finish()?;
    let name = CString::new(unique_name()).map_err(|e| e.to_string())?;
    hdf5::sync::sync(|| {
        // SAFETY: the property list is open; HDF5 copies the `len` readable bytes and does not write to them.
        let set = unsafe { hdf5_sys::h5p::H5Pset_file_image(access.id(), bytes.as_ptr().cast_mut().cast(), bytes.len()) };
        if set < 0 {
            return Err(hdf5::Error::query()?);
        }
        // SAFETY: the name is NUL-terminated and the property list open.
        let id = unsafe { hdf5_sys::h5f::H5Fopen(name.as_ptr(), hdf5_sys::h5f::H5F_ACC_RDONLY, access.id()) };
        if id < 0 {
            return Err(hdf5::Error::query()?);
        }
        // SAFETY: the id is a fresh file id that nobody else holds.
        unsafe { hdf5::from_id(id) }
    })
}

/// Writes `text` as a fixed-length NUL-terminated string attribute.
fn terminated_attribute(location: &Location, name: &str, text: &str) -> hdf5::Result<()> {
    let text = CString::new(text).map_err(|e| e.to_string())?;
    let length = text.as_bytes_with_nul().len();
    hdf5::sync::sync(|| {
        // SAFETY: H5T_C_S1 is initialised with the library, which `sync` opens; the copy is a fresh id that the
        // `Datatype` alone owns and closes.
        let datatype: Datatype = unsafe { hdf5::from_id(hdf5_sys::h5t::H5Tcopy(*hdf5_sys::h5t::H5T_C_S1)) }?;
        // SAFETY: a string type that is not committed may be resized.
        if unsafe { hdf5_sys::h5t::H5Tset_size(datatype.id(), length) } < 0 {
            return Err(hdf5::Error::query()?);
        }
        let attribute = create_terminated(location, name, datatype.id())?;
        // SAFETY: attribute and type are open, and the buffer holds `length` bytes, the size of the type.
        let written = unsafe { hdf5_sys::h5a::H5Awrite(attribute.id(), datatype.id(), text.as_ptr().cast()) };
        if written < 0 { Err(hdf5::Error::query()?) } else { Ok(()) }
    })
}

/// Creates a scalar attribute of an arbitrary type.
fn create_terminated(location: &Location, name: &str, datatype: hdf5_sys::h5i::hid_t) -> hdf5::Result<hdf5::Attribute> {
    let name = CString::new(name).map_err(|e| e.to_string())?;
    let space = hdf5::Dataspace::try_new(())?;
    // SAFETY: all ids are open, the name is NUL-terminated; zero stands for the default property lists.
    let id = unsafe { hdf5_sys::h5a::H5Acreate2(location.id(), name.as_ptr(), datatype, space.id(), 0, 0) };
    if id < 0 {
        return Err(hdf5::Error::query()?);
    }
    // SAFETY: the id is fresh and nobody else holds it.
    unsafe { hdf5::from_id(id) }
}

/// One entry of `REFERENCE_LIST`: a variable, and which of its axes a scale belongs to.
#[derive(Clone, Copy, H5Type)]
#[repr(C)]
struct Use {
    dataset: ObjectReference1,
    dimension: u32,
}

/// A dimension of a group.
struct Scale {
    name: String,
    length: usize,
    reference: ObjectReference1,
    uses: Vec<Use>,
}

/// Unit and meaning of a variable; an empty unit is left out.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub unit: &'a str,
    pub long_name: &'a str,
}

/// Shorthand for [`About`].
pub(super) fn about<'a>(unit: &'a str, long_name: &'a str) -> About<'a> {
    About { unit, long_name }
}

/// A group that is being written. Call [`Scope::finish`] at the end of one that has dimensions.
pub(super) struct Scope<'a> {
    group: Group,
    next_dimension: &'a Cell<i32>,
    scales: Vec<Scale>,
}

impl<'a> Scope<'a> {
    /// A new group in this one.
    pub fn group(&self, name: &str, description: &str) -> hdf5::Result<Scope<'a>> {
        let group = self
            .group
            .create_group_builder()
            .with_gcpl(|p| {
                p.link_creation_order(LinkCreationOrder::Indexed)
                    .attr_creation_order(AttrCreationOrder::Indexed)
                    .obj_track_times(false)
            })
            .create(name)?;
        let scope = Scope { group, next_dimension: self.next_dimension, scales: Vec::new() };
        scope.text_attribute("description", description)?;
        Ok(scope)
    }

    /// A string attribute of the group.
    pub fn text_attribute(&self, name: &str, text: &str) -> hdf5::Result<()> {
        text_attribute(&self.group, name, text)
    }

    /// A number attribute of the group.
    pub fn attribute<T: H5Type>(&self, name: &str, value: T) -> hdf5::Result<()> {
        self.group.new_attr::<T>().create(name)?.write_scalar(&value)
    }

    /// A list of numbers as an attribute.
    pub fn list_attribute(&self, name: &str, values: &[f64]) -> hdf5::Result<()> {
        self.group.new_attr::<f64>().shape(values.len()).create(name)?.write_raw(values)
    }

    /// A dimension whose coordinate counts from 0.
    pub fn index(&mut self, name: &str, length: usize, long_name: &str) -> hdf5::Result<()> {
        let count: Vec<i64> = (0..length as i64).collect();
        let dataset = self.dataset(name, ArrayView1::from(&count), about("", long_name))?;
        self.scale(name, length, &dataset)
    }

    /// A dimension whose coordinate is a list of names.
    pub fn labels<S: AsRef<str>>(&mut self, name: &str, labels: &[S], long_name: &str) -> hdf5::Result<()> {
        let labels = strings(labels)?;
        let dataset = self.dataset(name, ArrayView1::from(&labels), about("", long_name))?;
        self.scale(name, labels.len(), &dataset)
    }

    /// A variable over dimensions of this group; `data` in standard layout.
    pub fn variable<'d, T: H5Type, D: Dimension>(
        &mut self,
        name: &str,
        dimensions: &[&str],
        data: impl Into<ArrayView<'d, T, D>>,
        about: About,
    ) -> hdf5::Result<hdf5::Dataset> {
        let data = data.into();
        let shape = data.shape().to_vec();
        let dataset = self.dataset(name, data, about)?;
        let reference = self.group.reference::<ObjectReference1>(name)?;
        let mut list = Vec::new();
        for (axis, (dimension, length)) in dimensions.iter().zip(&shape).enumerate() {
            let scale = self.scales.iter_mut().find(|s| s.name == *dimension && s.length == *length);
            let scale = scale.ok_or_else(|| format!("{name}: axis {axis} does not fit dimension {dimension}"))?;
            scale.uses.push(Use { dataset: reference, dimension: axis as u32 });
            list.push(VarLenArray::from_slice(&[scale.reference]));
        }
        let attribute = dataset.new_attr::<VarLenArray<ObjectReference1>>().shape(list.len());
        attribute.create("DIMENSION_LIST")?.write_raw(&list)?;
        Ok(dataset)
    }

    /// A variable of strings over one dimension of this group.
    pub fn texts<S: AsRef<str>>(&mut self, name: &str, dimension: &str, texts: &[S], about: About) -> hdf5::Result<()> {
        let texts = strings(texts)?;
        self.variable(name, &[dimension], ArrayView1::from(&texts), about).map(drop)
    }

    /// A scalar.
    pub fn scalar<T: H5Type>(&self, name: &str, value: T, about: About) -> hdf5::Result<()> {
        self.dataset(name, ndarray::arr0(value).view(), about).map(drop)
    }

    /// A scalar string of any length.
    pub fn text(&self, name: &str, text: &str, long_name: &str) -> hdf5::Result<()> {
        self.scalar(name, string(text)?, about("", long_name))
    }

    /// Writes the way back from each dimension to its variables.
    pub fn finish(self) -> hdf5::Result<()> {
        for scale in self.scales.iter().filter(|s| !s.uses.is_empty()) {
            let attribute = self.group.dataset(&scale.name)?.new_attr::<Use>().shape(scale.uses.len());
            attribute.create("REFERENCE_LIST")?.write_raw(&scale.uses)?;
        }
        Ok(())
    }

    fn scale(&mut self, name: &str, length: usize, dataset: &hdf5::Dataset) -> hdf5::Result<()> {
        terminated_attribute(dataset, "CLASS", "DIMENSION_SCALE")?;
        terminated_attribute(dataset, "NAME", name)?;
        dataset.new_attr::<i32>().create("_Netcdf4Dimid")?.write_scalar(&self.next_dimension.get())?;
        self.next_dimension.set(self.next_dimension.get() + 1);
        let reference = self.group.reference::<ObjectReference1>(name)?;
        self.scales.push(Scale { name: name.into(), length, reference, uses: Vec::new() });
        Ok(())
    }

    fn dataset<T: H5Type, D: Dimension>(
        &self,
        name: &str,
        data: ArrayView<'_, T, D>,
        about: About,
    ) -> hdf5::Result<hdf5::Dataset> {
        let chunk = chunk(data.shape(), size_of::<T>());
        let mut builder = self.group.new_dataset_builder().obj_track_times(false);
        if !matches!(T::type_descriptor(), hdf5::types::TypeDescriptor::VarLenUnicode)
            && let Some(chunk) = chunk
        {
            builder = builder.chunk(chunk).shuffle().deflate(DEFLATE_LEVEL);
        }
        let dataset = builder.with_data(data).create(name)?;
        if !about.unit.is_empty() {
            text_attribute(&dataset, "units", about.unit)?;
        }
        text_attribute(&dataset, "long_name", about.long_name)?;
        Ok(dataset)
    }
}

/// The chunk for an array, none if it is small: the longest axis is halved until a chunk is small enough.
fn chunk(shape: &[usize], item: usize) -> Option<Vec<usize>> {
    let bytes = |shape: &[usize]| shape.iter().product::<usize>() * item;
    if bytes(shape) <= CONTIGUOUS_BYTES {
        return None;
    }
    let mut chunk = shape.to_vec();
    while bytes(&chunk) > CHUNK_BYTES {
        let longest = chunk.iter_mut().max()?;
        *longest = longest.div_ceil(2);
    }
    Some(chunk)
}

fn string(text: &str) -> hdf5::Result<VarLenUnicode> {
    text.parse().map_err(|e| format!("text cannot be stored: {e}").into())
}

fn strings<S: AsRef<str>>(texts: &[S]) -> hdf5::Result<Vec<VarLenUnicode>> {
    texts.iter().map(|t| string(t.as_ref())).collect()
}

/// The crate takes for granted that stored text is UTF-8; in a damaged file it need not be.
fn checked(text: &VarLenUnicode) -> hdf5::Result<String> {
    String::from_utf8(text.as_bytes().to_vec()).map_err(|e| e.to_string().into())
}

/// A string attribute.
pub(super) fn text_attribute(location: &Location, name: &str, text: &str) -> hdf5::Result<()> {
    location.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&string(text)?)
}

/// Reads a string attribute.
pub(super) fn read_text_attribute(location: &Location, name: &str) -> hdf5::Result<String> {
    checked(&location.attr(name)?.read_scalar()?)
}

/// Reads a scalar string.
pub(super) fn read_text(group: &Group, name: &str) -> hdf5::Result<String> {
    checked(&group.dataset(name)?.read_scalar()?)
}

/// Reads a variable of strings.
pub(super) fn read_texts(group: &Group, name: &str) -> hdf5::Result<Vec<String>> {
    group.dataset(name)?.read_raw()?.iter().map(checked).collect()
}

/// Names of the members of a group, in the order in which they were made.
pub(super) fn members(group: &Group) -> hdf5::Result<Vec<String>> {
    group.member_names_by(IndexType::CreationOrder, IterationOrder::Increasing)
}

! A shared folder by 9P: reads, writes and lists it, and tries to get out of it.
! tests/system/share.py makes the folder and looks at it afterwards.  Messages
! are data: ASK begins one, ANSWER sends it and checks the reply's type.

	.equ	OWN_TRAPS, 1
	.include "lib.inc"
	.include "traps.inc"
	.include "virtio-blk.inc"

	.equ	ID_9P, 9
	.equ	REPLY_BYTES, 8192
	.equ	ERROR, 7
	.equ	ROOT, 0
	.equ	NO_TAG, 1
	.equ	READ_ONLY, 0
	.equ	READ_WRITE, 2
	.equ	TRUNCATE, 01000

	.equ	VERSION, 100
	.equ	ATTACH, 104
	.equ	WALK, 110
	.equ	OPEN, 12
	.equ	CREATE, 14
	.equ	SYMLINK, 16
	.equ	READLINK, 22
	.equ	GETATTR, 24
	.equ	SETATTR, 26
	.equ	READDIR, 40
	.equ	FSYNC, 50
	.equ	LINK, 70
	.equ	MKDIR, 72
	.equ	RENAMEAT, 74
	.equ	UNLINKAT, 76
	.equ	READ, 116
	.equ	WRITE, 118
	.equ	CLUNK, 120

	.macro	ASK type
	.pushsection .rodata
	.align	8
9994:
	.long	9995f - 9994b
	.byte	\type
	.short	NO_TAG
	.endm
	.macro	NAME text
	.short	9997f - 9996f
9996:
	.ascii	"\text"
9997:
	.endm
! \type: of the reply; what is wrong is told by \text.
	.macro	ANSWER type, text
9995:
	.popsection
	{
		addd 0, 9994b, %db[0]
	}
	CALL ask
	{
		addd 0, reply, %dr5
	}
	{
		ldb %dr5, 4, %dr5
	}
	CHECK_EQUAL %dr5, \type, "\text"
	.endm
	.macro	REFUSED text
	ANSWER ERROR, "refused: \text"
	.endm
! A walk from the root to a new fid.
	.macro	WALK_TO fid, components
	ASK WALK
	.long	ROOT, \fid
	.short	\components
	.endm
	.macro	FORGET fid
	ASK CLUNK
	.long	\fid
	ANSWER CLUNK + 1, "fid \fid is forgotten"
	.endm
! A field of the reply, of 2, 4 or 8 bytes.
	.macro	FIELD load, offset, to
	{
		addd 0, reply, \to
	}
	{
		\load \to, \offset, \to
	}
	.endm

	.text
	PROC main
	CALL share_open
	{
		addd %db[0], 0, %dr0
	}
	CHECK_EQUAL %dr0, 0, "a shared folder"
	ASK VERSION
	.long	REPLY_BYTES
	NAME "9P2000.L"
	ANSWER VERSION + 1, "version"
	FIELD ldw, 7, %dr0
	CHECK_EQUAL %dr0, REPLY_BYTES, "size of messages"
	ASK ATTACH
	.long	ROOT, -1
	NAME "guest"
	NAME ""
	.long	-1
	ANSWER ATTACH + 1, "attached"
	CALL reading
	CALL writing
	CALL changing
	CALL hostile
	CALL listing
	PRINT "share passed\n"
	{
		addd 0, 0, %dr0
	}
	RETURN

	PROC reading
	WALK_TO 1, 1
	NAME "hello"
	ANSWER WALK + 1, "a file"
	ASK OPEN
	.long	1, READ_ONLY
	ANSWER OPEN + 1, "opened"
	ASK READ
	.long	1
	.quad	0
	.long	100
	ANSWER READ + 1, "read"
	FIELD ldw, 7, %dr0
	FIELD ldd, 11, %dr1
	CHECK_EQUAL %dr0, 16, "its size"
	CHECK_EQUAL %dr1, 0x6d6f7266206f6c68, "its text"
	ASK READ
	.long	1
	.quad	1 << 62
	.long	-1
	ANSWER READ + 1, "read far behind the end"
	FIELD ldw, 7, %dr0
	CHECK_EQUAL %dr0, 0, "nothing is there"
	ASK WRITE
	.long	1
	.quad	0
	.long	1
	.byte	0
	REFUSED "writing what is open for reading"
	FORGET 1
	WALK_TO 2, 2
	NAME "folder"
	NAME "inner"
	ANSWER WALK + 1, "a file in a folder"
	FIELD ldh, 7, %dr0
	CHECK_EQUAL %dr0, 2, "both components"
	ASK GETATTR
	.long	2
	.quad	-1
	ANSWER GETATTR + 1, "its attributes"
	FIELD ldd, 56, %dr0
	CHECK_EQUAL %dr0, 5, "its size"
	FORGET 2
	RETURN

	PROC writing
	WALK_TO 3, 0
	ANSWER WALK + 1, "the root again"
	ASK CREATE
	.long	3
	NAME "made"
	.long	READ_WRITE, 0644, 0
	ANSWER CREATE + 1, "a file is made"
	ASK WRITE
	.long	3
	.quad	4
	.long	8
	.ascii	"abcdefgh"
	ANSWER WRITE + 1, "written"
	FIELD ldw, 7, %dr0
	CHECK_EQUAL %dr0, 8, "all of it"
	ASK FSYNC
	.long	3, 0
	ANSWER FSYNC + 1, "on disk"
	ASK READ
	.long	3
	.quad	0
	.long	100
	ANSWER READ + 1, "read back"
	FIELD ldw, 7, %dr0
	FIELD ldd, 15, %dr1
	CHECK_EQUAL %dr0, 12, "with a hole before it"
	CHECK_EQUAL %dr1, 0x6867666564636261, "what was written"
	FORGET 3
	RETURN

	PROC changing
	ASK MKDIR
	.long	ROOT
	NAME "made-folder"
	.long	0755, 0
	ANSWER MKDIR + 1, "a folder is made"
	ASK UNLINKAT
	.long	ROOT
	NAME "unwanted"
	.long	0
	ANSWER UNLINKAT + 1, "a file is removed"
	WALK_TO 4, 1
	NAME "made-folder"
	ANSWER WALK + 1, "into the new folder"
	ASK RENAMEAT
	.long	ROOT
	NAME "old-name"
	.long	4
	NAME "new-name"
	ANSWER RENAMEAT + 1, "a file is moved there"
	WALK_TO 5, 1
	NAME "hello"
	ANSWER WALK + 1, "a file once more"
	ASK LINK
	.long	4, 5
	NAME "second-name"
	ANSWER LINK + 1, "a second name"
	FORGET 4
	FORGET 5
	RETURN

! Ways out of the folder.
	PROC hostile
	! ".." of the root is the root.
	WALK_TO 6, 3
	NAME ".."
	NAME ".."
	NAME "secret"
	ANSWER WALK + 1, "up, and up again"
	FIELD ldh, 7, %dr0
	CHECK_EQUAL %dr0, 2, "what lies above is not found"
	WALK_TO 6, 1
	NAME ".."
	ANSWER WALK + 1, "above the root"
	FIELD ldd, 14, %dr1
	FORGET 6
	WALK_TO 6, 2
	NAME "folder"
	NAME ".."
	ANSWER WALK + 1, "down and up"
	FIELD ldd, 27, %dr2
	CHECK_EQUAL %dr1, %dr2, "is the root"
	FORGET 6
	WALK_TO 6, 1
	NAME "folder/inner"
	REFUSED "a name with a slash"
	WALK_TO 6, 1
	NAME "../secret"
	REFUSED "a name that leads up"
	WALK_TO 6, 1
	NAME "/"
	REFUSED "an absolute name"
	WALK_TO 6, 1
	NAME ""
	REFUSED "an empty name"
	WALK_TO 6, 1
	NAME "."
	REFUSED "this folder's own name"
	WALK_TO 6, 1
	.short	6
	.ascii	"hel\0lo"
	REFUSED "a name with a zero"
	! Symbolic links of the host lead nowhere.
	WALK_TO 7, 1
	NAME "link-out"
	ANSWER WALK + 1, "a link itself"
	FIELD ldb, 9, %dr0
	CHECK_EQUAL %dr0, 2, "is a link"
	ASK OPEN
	.long	7, READ_ONLY
	REFUSED "opening a link"
	ASK OPEN
	.long	7, READ_WRITE
	REFUSED "opening a link for writing"
	ASK SETATTR
	.long	7, 8, 0, 0, 0			! the size
	.quad	0, 0, 0, 0, 0
	REFUSED "cutting what a link names"
	ASK READLINK
	.long	7
	ANSWER READLINK + 1, "a link is read"
	FORGET 7
	WALK_TO 8, 2
	NAME "link-up"
	NAME "secret"
	ANSWER WALK + 1, "through a link to a folder"
	FIELD ldh, 7, %dr0
	CHECK_EQUAL %dr0, 1, "stops at the link"
	WALK_TO 8, 0
	ANSWER WALK + 1, "the root"
	ASK CREATE
	.long	8
	NAME "link-out"
	.long	READ_WRITE | TRUNCATE, 0644, 0
	REFUSED "making a file through a link"
	ASK CREATE
	.long	8
	NAME "../evil"
	.long	READ_WRITE, 0644, 0
	REFUSED "making a file above"
	ASK CREATE
	.long	8
	NAME ".."
	.long	READ_WRITE, 0644, 0
	REFUSED "making a file named .."
	ASK CREATE
	.long	8
	NAME "pipe"
	.long	READ_WRITE, 0644, 0
	REFUSED "a pipe of the host, as a new file"
	! The guest's own link leads nowhere either.
	ASK SYMLINK
	.long	ROOT
	NAME "link-made"
	NAME ".."
	.long	0
	ANSWER SYMLINK + 1, "a link is made"
	WALK_TO 9, 2
	NAME "link-made"
	NAME "secret"
	ANSWER WALK + 1, "through the guest's own link"
	FIELD ldh, 7, %dr0
	CHECK_EQUAL %dr0, 1, "stops at the link"
	ASK MKDIR
	.long	ROOT
	NAME "../evil"
	.long	0755, 0
	REFUSED "a folder above"
	ASK RENAMEAT
	.long	ROOT
	NAME "hello"
	.long	ROOT
	NAME "../evil"
	REFUSED "moving a file up"
	ASK RENAMEAT
	.long	ROOT
	NAME ".."
	.long	ROOT
	NAME "evil"
	REFUSED "moving the folder above"
	ASK UNLINKAT
	.long	ROOT
	NAME ".."
	.long	0x200
	REFUSED "removing the folder above"
	WALK_TO 10, 1
	NAME "pipe"
	ANSWER WALK + 1, "a pipe"
	ASK OPEN
	.long	10, READ_ONLY
	REFUSED "opening a pipe of the host"
	FORGET 10
	ASK READ
	.long	77
	.quad	0
	.long	1
	REFUSED "a fid that is not there"
	WALK_TO ROOT, 1
	NAME "hello"
	ANSWER WALK + 1, "the root's fid moves"
	ASK ATTACH
	.long	11, -1
	NAME "guest"
	NAME ""
	.long	-1
	ANSWER ATTACH + 1, "and another is attached"
	ASK 255
	REFUSED "an unknown message"
	ASK WALK
	REFUSED "a message that is too short"
	ASK WALK
	.long	11, 12
	.short	60000
	REFUSED "too many components"
	RETURN

! Prints the names of the root, which is fid 11.
	PROC listing
	ASK OPEN
	.long	11, READ_ONLY
	ANSWER OPEN + 1, "the folder is opened"
	ASK READDIR
	.long	11
	.quad	0
	.long	REPLY_BYTES - 100
	ANSWER READDIR + 1, "and listed"
	FIELD ldw, 7, %dr0			! bytes of entries
	{
		addd 0, reply + 11, %dr1
	}
	{
		addd %dr1, %dr0, %dr0
	}
1:
	{
		cmpbdb %dr1, %dr0, %pred0
	}
	GOTO_IF_NOT %pred0, 3f
	PRINT "entry "
	{
		ldh %dr1, 22, %dr2		! of the name
		addd %dr1, 24, %dr1
	}
2:
	{
		ldb %dr1, 0, %db[0]
		addd %dr1, 1, %dr1
		subd %dr2, 1, %dr2
	}
	CALL putc
	{
		cmpedb %dr2, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 2b
	PRINT "\n"
	GOTO 1b
3:
	RETURN

! The slot with a shared folder; 1 when there is none.
	PROC share_open
	{
		addd 0, VIRTIO, %dr0
		addd 0, 16, %dr1
	}
1:
	{
		ldw %dr0, 8, %dr2
		subd %dr1, 1, %dr1
	}
	{
		cmpedb %dr2, ID_9P, %pred0
		cmpedb %dr1, 0, %pred1
	}
	GOTO_IF %pred0, 2f
	{
		addd %dr0, VIRTIO_STRIDE, %dr0
	}
	GOTO_IF_NOT %pred1, 1b
	{
		addd 0, 1, %dr0
	}
	RETURN
2:
	{
		addd 0, blk_base, %dr3
	}
	{
		std %dr3, 0, %dr0
	}
	REG_SET %dr0, 0x70, 0
	REG_SET %dr0, 0x70, 1
	REG_SET %dr0, 0x70, 3
	REG_SET %dr0, 0x24, 1		! VERSION_1
	REG_SET %dr0, 0x20, 1
	REG_SET %dr0, 0x24, 0		! a tag
	REG_SET %dr0, 0x20, 1
	REG_SET %dr0, 0x70, 11
	REG_SET %dr0, 0x30, 0
	REG_SET %dr0, 0x38, VQ_SIZE
	REG_SET %dr0, 0x80, vq_desc
	REG_SET %dr0, 0x84, 0
	REG_SET %dr0, 0x90, vq_avail
	REG_SET %dr0, 0x94, 0
	REG_SET %dr0, 0xa0, vq_used
	REG_SET %dr0, 0xa4, 0
	REG_SET %dr0, 0x44, 1
	REG_SET %dr0, 0x70, 15
	{
		ldh %dr0, 0x100, %dr1
		ldd %dr0, 0x102, %dr2
	}
	CHECK_EQUAL %dr1, 5, "length of the tag"
	{
		shld %dr2, 24, %dr2
	}
	CHECK_EQUAL %dr2, 0x6572616873000000, "the tag"
	{
		addd 0, 0, %dr0
	}
	RETURN

! ask(message): its first word is its size; the reply is in reply.
	PROC ask
	{
		ldw %dr0, 0, %dr1
		addd 0, REPLY_BYTES, %dr2
	}
	DESC 0, %dr0, %dr1, 1, 1
	DESC 1, reply, %dr2, 2, 0
	{
		addd 0, vq_avail, %dr4
		addd 0, 0, %dr9
	}
	{
		ldh %dr4, 2, %dr7
	}
	{
		andd %dr7, VQ_SIZE - 1, %dr8
		addd %dr7, 1, %dr7
	}
	{
		shld %dr8, 1, %dr8
	}
	{
		addd %dr4, %dr8, %dr8
	}
	{
		sth %dr8, 4, %r9
	}
	{
		wait st_c = 1
	}
	{
		sth %dr4, 2, %r7
		addd 0, blk_base, %dr3
	}
	{
		ldd %dr3, 0, %dr3
	}
	{
		wait st_c = 1
	}
	{
		stw %dr3, 0x50, %r9
		addd 0, vq_used, %dr5
	}
1:
	{
		ldh %dr5, 2, %dr6
	}
	{
		subd %dr6, %dr7, %dr6
		addd 0, 0xffff, %dr8
	}
	{
		andd %dr6, %dr8, %dr6
	}
	{
		cmpedb %dr6, 0, %pred0
	}
	GOTO_IF_NOT %pred0, 1b
	RETURN

	.pushsection .bss
	.align	4096
reply:
	.skip	REPLY_BYTES
	.popsection

! The shortest program that does something: start-up time.
	.text
	.global	_start
	.align	8
_start:
	{
		setwd wsz = 16, nfx = 1
		setbn rbs = 8, rsz = 7, rcur = 0
		sdisp %ctpr1, 3
		nop 4
	}
	{
		addd 0, 4, %b[0]
		addd 0, 1, %b[1]
		addd 0, text, %b[2]
		addd 0, 13, %b[3]
	}
	{
		call %ctpr1, wbs = 8
	}
	{
		sdisp %ctpr1, 3
		addd 0, 1, %b[0]
		addd 0, 0, %b[1]
		nop 4
	}
	{
		call %ctpr1, wbs = 8
	}
	.data
text:
	.ascii	"hello, world\n"

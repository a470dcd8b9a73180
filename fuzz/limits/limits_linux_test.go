package limits

import "testing"

func TestMoreTablesThanDescriptors(t *testing.T) { inChild(t, "descriptors") }

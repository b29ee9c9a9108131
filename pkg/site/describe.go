package site

import (
	"fmt"

	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// Describe fills in what a plan's result leaves to the kernel: the MAC of an interface that was there before (the bridge).
func (s *Site) Describe(result *types100.Result) error {
	for _, i := range result.Interfaces {
		side := s.Host
		if i.Sandbox != "" {
			side = s.Container
		}
		if i.Mac != "" || side == nil {
			continue
		}
		link, err := side.LinkByName(i.Name)
		if err != nil {
			return fmt.Errorf("link %s: %w", i.Name, err)
		}
		i.Mac = link.Attrs().HardwareAddr.String()
	}
	return nil
}

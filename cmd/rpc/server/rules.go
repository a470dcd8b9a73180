package server

import (
	"time"

	"github.com/tinedb/tine/cmd/rpc/tinepb"
)

// A rule says what is to be known of a method before its message is read. A method
// without one is refused.
type rule struct {
	name string // for metrics
	verb Verb   // of the metrics and logs; what a call needs is asked fork by fork
	// admin methods need VerbAdmin and are logged.
	admin bool
	// open methods need no more than that the caller is known.
	open bool
	lane lane // that of the service, unless another is named
	// changes: when the method has an answer, something was done that an error would deny.
	changes bool
	time    func(Limits) time.Duration
}

func callTime(l Limits) time.Duration  { return l.CallTime }
func scanTime(l Limits) time.Duration  { return l.ScanTime + l.Lease } // it ends by itself before
func adminTime(l Limits) time.Duration { return l.AdminTime }

// rules are all methods that are served.
var rules = map[string]*rule{
	tinepb.Tine_About_FullMethodName:          {name: "About", verb: VerbRead, open: true, time: callTime},
	tinepb.Tine_Get_FullMethodName:            {name: "Get", verb: VerbRead, time: callTime},
	tinepb.Tine_Write_FullMethodName:          {name: "Write", verb: VerbWrite, changes: true, time: callTime},
	tinepb.Tine_Scan_FullMethodName:           {name: "Scan", verb: VerbRead, time: scanTime},
	tinepb.Tine_Sync_FullMethodName:           {name: "Sync", verb: VerbWrite, open: true, time: callTime},
	tinepb.Tine_CreateForks_FullMethodName:    {name: "CreateForks", verb: VerbFork, changes: true, time: callTime},
	tinepb.Tine_GetFork_FullMethodName:        {name: "GetFork", verb: VerbRead, time: callTime},
	tinepb.Tine_ListForks_FullMethodName:      {name: "ListForks", verb: VerbRead, time: callTime},
	tinepb.Tine_Tree_FullMethodName:           {name: "Tree", verb: VerbRead, time: callTime},
	tinepb.Tine_RenameFork_FullMethodName:     {name: "RenameFork", verb: VerbFork, changes: true, time: callTime},
	tinepb.Tine_ResetFork_FullMethodName:      {name: "ResetFork", verb: VerbFork, changes: true, time: callTime},
	tinepb.Tine_DropForks_FullMethodName:      {name: "DropForks", verb: VerbFork, changes: true, time: callTime},
	tinepb.Tine_CreateSnapshot_FullMethodName: {name: "CreateSnapshot", verb: VerbFork, changes: true, time: callTime},
	tinepb.Tine_GetSnapshot_FullMethodName:    {name: "GetSnapshot", verb: VerbRead, time: callTime},
	tinepb.Tine_ListSnapshots_FullMethodName:  {name: "ListSnapshots", verb: VerbRead, time: callTime},
	tinepb.Tine_RenameSnapshot_FullMethodName: {name: "RenameSnapshot", verb: VerbFork, changes: true, time: callTime},
	tinepb.Tine_DropSnapshot_FullMethodName:   {name: "DropSnapshot", verb: VerbFork, changes: true, time: callTime},
	tinepb.Tine_Stats_FullMethodName:          {name: "Stats", verb: VerbAdmin, admin: true, time: callTime},
	tinepb.Tine_Check_FullMethodName:          {name: "Check", verb: VerbAdmin, admin: true, time: adminTime},
	tinepb.Tine_Flush_FullMethodName:          {name: "Flush", verb: VerbAdmin, admin: true, time: adminTime},
	tinepb.Tine_Compact_FullMethodName:        {name: "Compact", verb: VerbAdmin, admin: true, time: adminTime},
	tinepb.Tine_Settle_FullMethodName:         {name: "Settle", verb: VerbAdmin, admin: true, time: adminTime},
	tinepb.Tine_Backup_FullMethodName:         {name: "Backup", verb: VerbAdmin, admin: true, time: adminTime},

	"/grpc.health.v1.Health/Check":                                   {name: "HealthCheck", open: true, lane: laneHealth, time: callTime},
	"/grpc.health.v1.Health/Watch":                                   {name: "HealthWatch", open: true, lane: laneAside, time: adminTime},
	"/grpc.health.v1.Health/List":                                    {name: "HealthList", open: true, lane: laneAside, time: callTime},
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {name: "Reflection", open: true, lane: laneAside, time: callTime},
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {name: "Reflection", open: true, lane: laneAside, time: callTime},
}

// anonymous tells whether a method may be called by whom the node does not know:
// only whether it is ready.
func anonymous(method string) bool { return method == "/grpc.health.v1.Health/Check" }
